import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@soldier/proto/grpc/health/v1/health";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { systemClock } from "@soldier/kernel/clock";
import { afterEach, describe, expect, it } from "vitest";
import { chassisTables } from "./chassis-settings.ts";
import { clientOf } from "./client.ts";
import { clientInterceptors } from "./client-interceptors.ts";
import { grpcTransport } from "./grpc-client.ts";
import { settingsFor } from "./settings.ts";
import type { Tree } from "./settings-tree.ts";
import { callAs, testIdentity, testSettings } from "./testing.ts";
import { openTokens } from "./tokens.ts";

const chassis = settingsFor({ settings: chassisTables }, testSettings());
const script = new URL("./echo-process.contract.ts", import.meta.url).pathname;

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

interface Process {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  readonly stderr: () => string;
  /** The address that it says it listens on. */
  readonly listening: Promise<{ readonly url: string; readonly adminUrl: string }>;
}

function start(overrides: Tree): Process {
  const child = spawn(process.execPath, [script, JSON.stringify(overrides)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const told = Promise.withResolvers<{ url: string; adminUrl: string }>();
  createInterface(child.stdout).on("line", (line) => {
    const facts = JSON.parse(line) as Record<string, string>; // pino writes one object a line
    if (facts["msg"] === "listening")
      told.resolve({ url: facts["url"] ?? "", adminUrl: facts["admin_url"] ?? "" });
  });
  const exit = once(child, "exit").then(([code]: (number | null)[]) => {
    told.reject(new Error(`it ended with ${code}: ${stderr}`));
    return code ?? null;
  });
  told.promise.catch(() => {}); // whoever waits for it gets the reason
  return { child, exit, stderr: () => stderr, listening: told.promise };
}

function clients(url: string) {
  const transport = grpcTransport(new URL(url).host, chassis.server.max_message_bytes);
  const interceptors = clientInterceptors({
    service: "test",
    calls: { ...chassis.calls, max_attempts: 1 },
    tokens: openTokens(chassis.identity, systemClock),
    clock: systemClock,
  });
  const call = callAs(
    (peer) => clientOf(peer, transport, { interceptors, deadlineMs: 10_000 }),
    testIdentity(),
  );
  return {
    echo: call(EchoService),
    health: call(Health),
    [Symbol.dispose]: transport[Symbol.dispose],
  };
}

describe("a process that is told to stop", () => {
  it("says so, waits for balancers, finishes what is in flight, refuses the rest, and exits with 0", async () => {
    const server = start({ server: { drain_delay_ms: 600, drain_timeout_ms: 10_000 } });
    const { url, adminUrl } = await server.listening;
    using mesh = clients(url);
    const watch = mesh.health.watch({ service: "" }, { timeoutMs: 20_000 })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: Status.SERVING });
    expect((await fetch(`${adminUrl}/readyz`)).status).toBe(200);

    const stream = mesh.echo.count({ count: 200_000 })[Symbol.asyncIterator]();
    await stream.next();
    server.child.kill("SIGTERM");

    expect((await watch.next()).value).toMatchObject({ status: Status.NOT_SERVING });
    const ready = await fetch(`${adminUrl}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([503, { state: "leaving" }]);
    expect((await fetch(`${adminUrl}/healthz`)).status).toBe(200);
    // While balancers find out, calls are still taken.
    expect((await mesh.echo.echo({ text: "late" })).text).toBe("late");

    let seen = 1;
    while (!(await stream.next()).done) seen++;
    expect(seen).toBe(200_000);
    expect((await watch.next()).done).toBe(true);
    expect(await server.exit).toBe(0);
    await expect(mesh.echo.echo({ text: "x" })).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("cuts what does not finish in time, and exits with 0 all the same", async () => {
    const server = start({ server: { drain_timeout_ms: 200 } });
    const { url } = await server.listening;
    using mesh = clients(url);
    await mesh.echo.echo({ text: "hello" });
    const stuck = mesh.echo.echo({ text: "deaf" }).catch((error: unknown) => error);
    await mesh.echo.echo({ text: "after it" }); // so the stuck call has arrived
    server.child.kill("SIGTERM");
    expect(await server.exit).toBe(0);
    expect(await stuck).toMatchObject({ kind: expect.stringMatching(/unavailable|cancelled/) });
  });

  it("exits at once when it is told twice", async () => {
    const server = start({ server: { drain_delay_ms: 60_000 } });
    const { adminUrl } = await server.listening;
    server.child.kill("SIGTERM");
    await expect
      .poll(async () => (await fetch(`${adminUrl}/readyz`)).status, { timeout: 5_000 })
      .toBe(503);
    server.child.kill("SIGTERM");
    expect(await server.exit).toBe(143);
  });
});

describe("a process that can't start", () => {
  it("names the port that is taken and the setting to change, without a stack", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const server = start({ server: { ports: { echo: port }, admin_ports: { echo: 0 } } });
    server.listening.catch(() => {});
    expect(await server.exit).toBe(1);
    taken.close();
    expect(server.stderr()).toBe(
      `Cannot start: port ${port} is already in use: stop what listens on 127.0.0.1:${port} ` +
        `or set another with server.ports.echo (SOLDIER_SERVER__PORTS__ECHO)\n`,
    );
  });

  it("names the admin port that is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const server = start({ server: { ports: { echo: 0 }, admin_ports: { echo: port } } });
    expect(await server.exit).toBe(1);
    taken.close();
    expect(server.stderr()).toContain("server.admin_ports.echo");
  });

  it("tells every problem in its settings, without a stack", async () => {
    const server = start({
      log: { level: "loud" },
      identity: { secret: "short" },
      echo: { lod: 1 },
    });
    expect(await server.exit).toBe(1);
    const lines = server.stderr().trim().split("\n");
    expect(lines[0]).toBe("Cannot start: the settings have 3 problems:");
    expect(lines).toHaveLength(4);
    expect(lines.join()).toContain("echo.lod: there is no such setting; did you mean echo.loud?");
  });
});
