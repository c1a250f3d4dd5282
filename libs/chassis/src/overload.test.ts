import { Fault } from "@soldier/kernel/fault";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { describe, expect, it } from "vitest";
import { echoService, type Noticed } from "./echo.contract.ts";
import { runAlone, runTogether } from "./run.ts";
import { callAs, recordedLog, testIdentity, testSettings } from "./testing.ts";

const tight = {
  admission: { concurrent_max: 2, tenant_share: 0.5, tenant_waiting_max: 1, wait_max_ms: 60_000 },
};

async function opened(run: typeof runAlone) {
  const noticed: Noticed = { cancelled: [], left: [] };
  const log = recordedLog();
  const settings = testSettings(tight, ["echo"]);
  const running = await run(echoService(noticed), { settings, logTo: log.destination });
  const of = (tenantId: string) => callAs(running.call, testIdentity({ tenantId }))(EchoService);
  return { ...running, noticed, of };
}

async function reasonOf(call: Promise<unknown>): Promise<unknown> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof Fault
    ? [error.kind, error.reason, (error.retryAfterMs ?? 0) >= 250]
    : error;
}

describe.each([
  ["alone", runAlone],
  ["together", ((service, options) => runTogether([service], options)) satisfies typeof runAlone],
])("a service with more to do than it can, run %s", (_, run) => {
  it("refuses early and with a delay, serves other tenants, and goes on when there is room", async () => {
    await using way = await opened(run);
    const flood = way.of("flood");
    const leaving = new AbortController();
    const held = [1, 2].map((n) => flood.echo({ text: `slow ${n}` }, { signal: leaving.signal }));
    const ended = Promise.allSettled(held);
    await expect
      .poll(() => reasonOf(flood.echo({ text: "one more" }, { timeoutMs: 200 })))
      .toEqual(["exhausted", "OVERLOADED", true]);
    expect((await way.of("calm").echo({ text: "hello" })).text).toBe("hello");
    leaving.abort();
    await ended;
    await expect.poll(() => reasonOf(flood.echo({ text: "again" }))).toBeUndefined();
  });

  it("gives the places of streams back, read to their end, left, or failed", async () => {
    await using way = await opened(run);
    const calls = way.of("a");
    for (let i = 0; i < 4; i++) {
      for await (const _number of calls.count({ count: 2 }));
      for await (const _number of calls.count({ count: 1_000 })) break;
      const failing = calls.count({ count: 5, failAfter: 2 });
      expect(
        await reasonOf(
          (async () => {
            for await (const _number of failing);
          })(),
        ),
      ).toContain("MOVED_ON");
    }
    expect((await calls.echo({ text: "hello" })).text).toBe("hello");
  });
});
