import { Code, ConnectError, createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { manualClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { describe, expect, it } from "vitest";
import { chassisTables } from "./chassis-settings.ts";
import type { Next } from "./around.ts";
import { deadlineKey } from "./deadline.ts";
import { notSent, retrying } from "./retry.ts";
import { runAlone } from "./run.ts";
import { route, service } from "./service.ts";
import { settingsFor } from "./settings.ts";
import { callAs, recordedLog, testIdentity, testSettings } from "./testing.ts";

const { calls } = settingsFor({ settings: chassisTables }, testSettings());

/** A server that fails as often as it is told, and counts. */
function flaky(failures: number) {
  const seen = { echo: 0, guarded: 0 };
  const failing = (count: number) => {
    if (count <= failures) throw new Fault("unavailable", "not now");
  };
  const definition = service({
    name: "flaky",
    settings: {},
    start: async () => ({
      routes: [
        route(EchoService, {
          async echo({ text }) {
            failing(++seen.echo);
            return { text };
          },
          async guarded() {
            failing(++seen.guarded);
            return {};
          },
          async *count() {},
          async *converse() {},
        }),
      ],
    }),
  });
  return { definition, seen };
}

const idle = service({ name: "caller", settings: {}, start: async () => ({ routes: [] }) });

async function serverAt(port: number, failures = 0) {
  const { definition, seen } = flaky(failures);
  const settings = testSettings({ server: { ports: { flaky: port } } }, ["flaky"]);
  const running = await runAlone(definition, { settings, logTo: recordedLog().destination });
  return { ...running, seen, port: Number(new URL(running.url ?? "").port) };
}

async function callerOf(port: number) {
  const settings = testSettings({ peers: { testing: `127.0.0.1:${port}` } }, ["caller"]);
  const running = await runAlone(idle, { settings, logTo: recordedLog().destination });
  return { ...running, echo: callAs(running.call, testIdentity())(EchoService) };
}

describe("a call to a service that is away", () => {
  it("is repeated until the service is back, when repeating does no harm", async () => {
    await using server = await serverAt(0, 2);
    await using caller = await callerOf(server.port);
    expect((await caller.echo.echo({ text: "hello" })).text).toBe("hello");
    expect(server.seen.echo).toBe(3);
  });

  it("is not repeated when it may have done something", async () => {
    await using server = await serverAt(0, 2);
    await using caller = await callerOf(server.port);
    await expect(caller.echo.guarded({})).rejects.toMatchObject({ kind: "unavailable" });
    expect(server.seen.guarded).toBe(1);
  });

  it("survives a restart on the same port", async () => {
    const first = await serverAt(0);
    await using caller = await callerOf(first.port);
    await caller.echo.echo({ text: "before" });
    await first[Symbol.asyncDispose]();
    const meanwhile = [caller.echo.echo({ text: "during" }), caller.echo.guarded({})];
    await using second = await serverAt(first.port);
    await Promise.all(meanwhile);
    expect(second.seen).toEqual({ echo: 1, guarded: 1 }); // the second was never sent to the first
  });

  it("fails with a stable reason and no address when the service stays away", async () => {
    const gone = await serverAt(0);
    await gone[Symbol.asyncDispose]();
    await using caller = await callerOf(gone.port);
    const fault = await caller.echo
      .echo({ text: "x" }, { timeoutMs: 300 })
      .catch((e: unknown) => e);
    expect(fault).toMatchObject({ kind: "unavailable", reason: "UNAVAILABLE" });
    expect(String(fault)).not.toContain("127.0.0.1");
  });

  it("says which setting is missing when there is no way to it", async () => {
    await using caller = await runAlone(idle, {
      settings: testSettings({}, ["caller"]),
      logTo: recordedLog().destination,
    });
    const echo = callAs(caller.call, testIdentity())(EchoService);
    await expect(echo.echo({ text: "x" })).rejects.toThrow("peers.testing is not set");
  });
});

describe("repeating", () => {
  const unavailable = () => new ConnectError("away", Code.Unavailable);
  const request = (leftMs: number): UnaryRequest => ({
    stream: false,
    service: EchoService,
    method: EchoService.method.echo,
    requestMethod: "POST",
    url: "",
    signal: new AbortController().signal,
    header: new Headers(),
    contextValues: createContextValues().set(deadlineKey, performance.now() + leftMs),
    message: { $typeName: "soldier.testing.v1.EchoRequest" },
  });
  /** Counts the attempts that get through. */
  const failing = (error: () => unknown) => {
    const attempts = { count: 0 };
    const next: Next = async () => {
      attempts.count++;
      throw error();
    };
    return { attempts, next };
  };
  const quick = { ...calls, retry_backoff_ms: 1, max_attempts: 3 };

  it("stops at the greatest number of attempts", async () => {
    const { attempts, next } = failing(unavailable);
    const call = retrying(quick, "test", manualClock(new Date()))(next as never);
    await expect(call(request(10_000))).rejects.toThrow("away");
    expect(attempts.count).toBe(3);
  });

  it("adds no more than its share to the load of a service in trouble", async () => {
    const { attempts, next } = failing(unavailable);
    const settings = { ...quick, retry_budget_ratio: 0.2, retry_minimum_per_second: 0 };
    const call = retrying(settings, "test", manualClock(new Date()))(next as never);
    for (let made = 0; made < 100; made++) await call(request(10_000)).catch(() => {});
    expect(attempts.count).toBeGreaterThan(110);
    expect(attempts.count).toBeLessThanOrEqual(120);
  });

  it("gets its minimum back with time", async () => {
    const clock = manualClock(new Date());
    const { attempts, next } = failing(unavailable);
    const settings = { ...quick, retry_budget_ratio: 0, retry_minimum_per_second: 2 };
    const call = retrying(settings, "test", clock)(next as never);
    const spend = () => call(request(10_000)).catch(() => {});
    await spend();
    await spend();
    expect(attempts.count).toBe(4); // two calls and the two repetitions of the first second
    clock.advance(1_000);
    await spend();
    expect(attempts.count).toBe(7);
  });

  it("is not begun when it can't be done in time", async () => {
    const late = () => new Fault("unavailable", "busy", { retryAfterMs: 5_000 });
    const { attempts, next } = failing(() =>
      Object.assign(new ConnectError("busy", Code.Unavailable), { cause: late() }),
    );
    const slow = { ...quick, retry_backoff_ms: 5_000 };
    const call = retrying(slow, "test", manualClock(new Date()))(next as never);
    await expect(call(request(500))).rejects.toThrow("busy");
    expect(attempts.count).toBe(1);
  });

  it("takes a request that was never sent as harmless whatever its method", async () => {
    const { attempts, next } = failing(() => {
      const error = unavailable();
      notSent.add(error);
      return error;
    });
    const call = retrying(quick, "test", manualClock(new Date()))(next as never);
    const guarded = { ...request(10_000), method: EchoService.method.guarded };
    await expect(call(guarded as UnaryRequest)).rejects.toThrow("away");
    expect(attempts.count).toBe(3);
  });
});
