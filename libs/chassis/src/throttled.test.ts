import { createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { manualClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { beforeAll, describe, expect, it } from "vitest";
import { actingAs } from "./identity.ts";
import { type Running, runTogether } from "./run.ts";
import { testIdentity, testSettings } from "./testing.ts";
import { throttled } from "./throttled.ts";

const request: UnaryRequest = {
  stream: false,
  service: EchoService,
  method: EchoService.method.echo,
  requestMethod: "POST",
  url: "",
  signal: new AbortController().signal,
  header: new Headers(),
  contextValues: createContextValues(),
  message: { $typeName: "soldier.testing.v1.EchoRequest" },
};

const overloaded = () =>
  new Fault("exhausted", "too much", { reason: "OVERLOADED", retryAfterMs: 2_000 });

/** A service that serves so many calls in each second and fails the others with this fault. */
function target(perSecond: number, failure: () => Fault = overloaded) {
  const clock = manualClock(new Date());
  const seen = { sent: 0 };
  let left = 0;
  const next = async () => {
    seen.sent += 1;
    if (left-- <= 0) throw failure();
    return { ...request, trailer: new Headers() };
  };
  const call = throttled({ service: "caller", clock })(next as never);
  /** So many calls a second for a time; how many of the last second's were sent, and how many served. */
  async function asked(seconds: number, rate: number, tenantId = "flood") {
    const last = { sent: 0, served: 0 };
    for (let second = 0; second < seconds; second++) {
      left = perSecond;
      last.served = 0;
      const before = seen.sent;
      for (let number = 0; number < rate; number++) {
        clock.advance(1_000 / rate);
        await actingAs(testIdentity({ tenantId }), () => call(request)).then(
          () => (last.served += 1),
          () => {},
        );
      }
      last.sent = seen.sent - before;
    }
    return last;
  }
  return { asked, call, clock };
}

describe("calls to a service that has too much to do", () => {
  let running: Running; // what knows for whom a call is made
  beforeAll(async () => {
    running = await runTogether([], { settings: testSettings() });
    return () => running[Symbol.asyncDispose]();
  });

  it("are sent half as often again as they are served, and no more", async () => {
    const { asked } = target(40);
    const { sent, served } = await asked(30, 400);
    expect(served).toBe(40);
    expect(sent).toBeGreaterThanOrEqual(45);
    expect(sent).toBeLessThanOrEqual(70);
  });

  it("are all sent again soon after there is room", async () => {
    const { asked, clock } = target(40);
    await asked(30, 400);
    expect(await asked(3, 30)).toEqual({ sent: 30, served: 30 });
    clock.advance(30_000);
    expect(await asked(1, 40)).toEqual({ sent: 40, served: 40 });
  });

  it("come through when nothing was served for long", async () => {
    const { asked } = target(0);
    const { sent } = await asked(60, 400);
    expect(sent).toBeGreaterThanOrEqual(1);
    expect(sent).toBeLessThanOrEqual(12);
  });

  it("are each tenant's own", async () => {
    const { asked } = target(40);
    await asked(30, 400);
    expect(await asked(5, 20, "calm")).toEqual({ sent: 20, served: 20 });
  });

  it("are sent when it fails for another reason", async () => {
    const { asked } = target(0, () => new Fault("invalid", "no", { reason: "TEXT_TOO_LONG" }));
    expect((await asked(10, 100)).sent).toBe(100);
  });

  it("are refused as it refuses, with about its delay", async () => {
    const { asked, call } = target(0);
    await asked(5, 400);
    const fault: unknown = await actingAs(testIdentity({ tenantId: "flood" }), () =>
      call(request).then(undefined, (error: unknown) => error),
    );
    expect(fault).toMatchObject({
      kind: "exhausted",
      reason: "OVERLOADED",
      metadata: { service: "caller", why: "throttled" },
    });
    const { retryAfterMs = 0 } = fault instanceof Fault ? fault : {};
    expect(retryAfterMs).toBeGreaterThanOrEqual(1_500);
    expect(retryAfterMs).toBeLessThanOrEqual(2_500);
  });
});
