import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { InMemorySpanExporter, type ReadableSpan } from "@opentelemetry/sdk-trace";
import type { Clock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { keyOf } from "./chassis-settings.ts";
import { actingAs, type Identity } from "./identity.ts";
import { runTogether, type Running } from "./run.ts";
import type { Call, Manner, Service } from "./service.ts";
import { type Document, overridden, readSettings } from "./settings.ts";
import type { Tree } from "./settings-tree.ts";

/**
 * default.toml and test.toml with free ports, and the overrides over them:
 * `testSettings({ session: { lease_ms: 50 } })`. The environment plays no part.
 */
export function testSettings(overrides: Tree = {}, services: readonly string[] = []): Document {
  const base = readSettings({ env: { SOLDIER_ENV: "test" } });
  const known = Object.keys((base.values["server"] as Tree)["ports"] as Tree); // default.toml has both
  const names = [...known, "together", ...services.map(keyOf)];
  const free = Object.fromEntries(names.map((name) => [name, 0]));
  const ports = overridden(base, { server: { ports: free, admin_ports: free } }, "the test");
  return overridden(ports, overrides, "the test");
}

/** A fresh tenant's user; with the roles to converse and to operate unless others are given. */
export function testIdentity(identity: Partial<Identity> = {}): Identity {
  return { tenantId: newId(), subject: "tester", roles: ["chat", "operator"], ...identity };
}

export interface TestMesh extends Running {
  /** The mesh's clients, for whom the calls are made. */
  as(identity: Identity): Call;
  /** Every span that has ended so far, of all services. */
  spans(): readonly ReadableSpan[];
  /** The log so far, parsed. */
  lines(): readonly Tree[];
}

export interface TestOptions {
  /** Over the settings of testSettings(). */
  readonly settings?: Tree;
  readonly clock?: Clock;
}

/** Services together in this process, as a suite needs them. Dispose of it in the end. */
export async function runForTest(
  services: readonly Service[],
  options: TestOptions = {},
): Promise<TestMesh> {
  const exporter = new InMemorySpanExporter();
  const log = recordedLog();
  const names = services.map((service) => service.name);
  const running = await runTogether(services, {
    settings: testSettings(options.settings, names),
    exporter,
    logTo: log.destination,
    ...(options.clock && { clock: options.clock }),
  });
  return {
    ...running,
    as: (identity) => callAs(running.call, identity),
    spans: () => exporter.getFinishedSpans(),
    lines: log.lines,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** The same clients, each call made for this identity. */
export function callAs(call: Call, identity: Identity): Call {
  return <S extends DescService>(service: S, manner?: Manner): Client<S> => {
    const client: object = call(service, manner);
    const methods = Object.entries(client).map(([name, method]) => [
      name,
      (...args: readonly unknown[]) =>
        actingAs(identity, () => Reflect.apply(method as () => unknown, client, args)), // clients have only methods
    ]);
    return Object.fromEntries(methods) as Client<S>; // the same methods
  };
}

/** Somewhere for the log to go, and what went there. */
export function recordedLog() {
  const written: string[] = [];
  return {
    destination: { write: (line: string) => void written.push(line) },
    lines: (): readonly Tree[] => written.map((line) => JSON.parse(line) as Tree), // pino writes one object a line
  };
}
