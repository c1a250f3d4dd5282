import { setTimeout as pause } from "node:timers/promises";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { describe, expect, it } from "vitest";
import { runAlone } from "./run.ts";
import { route, service } from "./service.ts";
import { callAs, recordedLog, testIdentity, testSettings } from "./testing.ts";

const echoing = service({
  name: "echoing",
  settings: {},
  start: async () => ({
    routes: [
      route(EchoService, {
        echo: async ({ text }) => ({ text }),
        guarded: async () => ({}),
        async *count({ count }) {
          for (let number = 1; number <= count; number++) yield { number };
        },
        async *converse() {},
      }),
    ],
  }),
});
const idle = service({ name: "caller", settings: {}, start: async () => ({ routes: [] }) });

async function serverAt(port: number) {
  const settings = testSettings({ server: { ports: { echoing: port } } }, ["echoing"]);
  const running = await runAlone(echoing, { settings, logTo: recordedLog().destination });
  return { ...running, port: Number(new URL(running.url ?? "").port) };
}

async function callerOf(port: number, patience_ms: number) {
  const peers = { testing: `127.0.0.1:${port}` };
  const settings = testSettings({ peers, calls: { patience_ms } }, ["caller"]);
  const running = await runAlone(idle, { settings, logTo: recordedLog().destination });
  const echo = callAs(running.call, testIdentity())(EchoService, { patient: true });
  return { ...running, echo };
}

/** A port where somebody has been, and is no more. */
async function leftPort(): Promise<number> {
  const gone = await serverAt(0);
  await gone[Symbol.asyncDispose]();
  return gone.port;
}

describe("a call that cannot do without its peer", () => {
  it("waits for it to be there, whatever the method, and streams too", async () => {
    const port = await leftPort();
    await using caller = await callerOf(port, 20_000);
    const numbers: number[] = [];
    async function counted(): Promise<void> {
      for await (const { number } of caller.echo.count({ count: 2 })) numbers.push(number);
    }
    // Longer than all repetitions of a call that is not patient.
    const late = pause(2_500).then(() => serverAt(port));
    const [server] = await Promise.all([late, caller.echo.guarded({}), counted()]);
    await using _ = server;
    expect(numbers).toEqual([1, 2]);
  });

  it("fails as ever when its patience has ended, and is not repeated then", async () => {
    await using caller = await callerOf(await leftPort(), 200);
    const startedMs = performance.now();
    const failed = caller.echo.echo({ text: "x" });
    await expect(failed).rejects.toMatchObject({ kind: "unavailable", reason: "UNAVAILABLE" });
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });

  it("ends with a caller who leaves", async () => {
    await using caller = await callerOf(await leftPort(), 20_000);
    const leaving = new AbortController();
    const failed = caller.echo.echo({ text: "x" }, { signal: leaving.signal });
    leaving.abort();
    await expect(failed).rejects.toMatchObject({ kind: "cancelled" });
  });
});
