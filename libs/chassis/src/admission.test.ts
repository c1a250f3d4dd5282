import { manualClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { openAdmission, type Place } from "./admission.ts";
import { chassisTables } from "./chassis-settings.ts";
import { settingsFor } from "./settings.ts";
import { recordedLog, testSettings } from "./testing.ts";

const defaults = settingsFor({ settings: chassisTables }, testSettings()).admission;
const calm = { lagMs: 0, busyShare: 1, heapShare: 0.1 };
const busy = { lagMs: 1_000, busyShare: 1, heapShare: 0.1 };

function opened(over: Partial<typeof defaults> = {}) {
  const clock = manualClock(new Date(0));
  const { destination, lines } = recordedLog();
  const settings = { ...defaults, tenant_share: 1, lag_max_ms: 20, ...over };
  const log = pino({}, destination);
  return { clock, lines, ...openAdmission({ service: "test", settings, clock, log }) };
}

async function refusal(entering: Promise<Place>): Promise<Fault> {
  const error = await entering.then(
    () => expect.fail("it should have been refused"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Fault)) throw error;
  return error;
}

/** Whether somebody has got in by now. */
function arrival(entering: Promise<Place>): { in: boolean } {
  const arrived = { in: false };
  entering.then(
    () => (arrived.in = true),
    () => {}, // nobody waits for its end
  );
  return arrived;
}

/** Who has got in, in order. */
function crowd({ enter }: Pick<ReturnType<typeof opened>, "enter">) {
  const got: string[] = [];
  const places: Place[] = [];
  return {
    got,
    async next() {
      places.shift()?.leave();
      await Promise.resolve();
      await Promise.resolve();
    },
    ask(tenantId: string) {
      void enter({ tenantId }).then(
        (place) => {
          got.push(tenantId);
          places.push(place);
        },
        () => {},
      );
    },
  };
}

describe("admission", () => {
  it("serves tenants in turn, however much one of them asks for", async () => {
    const admission = opened({ concurrent_max: 1 });
    const door = crowd(admission);
    for (let i = 0; i < 20; i++) door.ask("flood");
    door.ask("calm");
    door.ask("calm");
    for (let i = 0; i < 5; i++) await door.next();
    expect(door.got.filter((one) => one === "calm")).toHaveLength(2);
    expect(door.got.length).toBeLessThanOrEqual(6);
  });

  it("keeps a share of the places for others", async () => {
    const { enter } = opened({ concurrent_max: 4, tenant_share: 0.75 });
    for (let i = 0; i < 3; i++) await enter({ tenantId: "flood" });
    const fourth = arrival(enter({ tenantId: "flood" }));
    await enter({ tenantId: "calm" });
    expect(fourth.in).toBe(false);
  });

  it("refuses what is over a tenant's queue, with a reason and a time", async () => {
    const { enter } = opened({ concurrent_max: 1, tenant_waiting_max: 1 });
    await enter({ tenantId: "flood" });
    arrival(enter({ tenantId: "flood" }));
    const fault = await refusal(enter({ tenantId: "flood" }));
    expect(fault).toMatchObject({
      kind: "exhausted",
      reason: "OVERLOADED",
      metadata: { service: "test", why: "tenant-full" },
    });
    expect(fault.retryAfterMs).toBeGreaterThanOrEqual(250);
  });

  it("refuses at once who would wait beyond its deadline, and lets in who would not", async () => {
    const { enter, clock } = opened({ concurrent_max: 1 });
    const places: Place[] = [await enter({ tenantId: "a" })];
    const keep = (place: Place) => void places.push(place);
    for (let i = 0; i < 4; i++) enter({ tenantId: "a" }).then(keep, () => {});
    // Places become free every 100 ms.
    for (let i = 0; i < 2; i++) {
      clock.advance(100);
      places.shift()?.leave();
      await Promise.resolve();
      await Promise.resolve();
    }
    const soon = { tenantId: "a", deadlineAtMs: performance.now() + 150 };
    expect((await refusal(enter(soon))).metadata["why"]).toBe("deadline");
    const past = { tenantId: "b", deadlineAtMs: performance.now() - 1 };
    expect((await refusal(enter(past))).metadata["why"]).toBe("deadline");
  });

  it("refuses after the longest wait, and forgets whoever has left", async () => {
    const { enter } = opened({ concurrent_max: 1, wait_max_ms: 5, tenant_waiting_max: 1 });
    await enter({ tenantId: "a" });
    expect((await refusal(enter({ tenantId: "a" }))).metadata["why"]).toBe("waited");
    const leaving = new AbortController();
    const left = enter({ tenantId: "b", signal: leaving.signal });
    leaving.abort(new Fault("cancelled", "the call was cancelled"));
    expect((await refusal(left)).kind).toBe("cancelled");
    expect((await refusal(enter({ tenantId: "b" }))).metadata["why"]).toBe("waited"); // there was room
  });

  it("lets fewer in while timers stay late or memory short, and more again afterwards", async () => {
    const { enter, adapt } = opened({ concurrent_max: 100, concurrent_min: 2 });
    const places = await Promise.all(
      Array.from({ length: 50 }, async () => await enter({ tenantId: "a" })),
    );
    for (let i = 0; i < 100; i++) adapt(i % 2 === 0 ? busy : { ...calm, heapShare: 0.95 });
    for (const place of places.slice(0, 48)) place.leave();
    const third = arrival(enter({ tenantId: "a" }));
    await Promise.resolve();
    expect(third.in).toBe(false);
    for (let i = 0; i < 10; i++) adapt(calm);
    await Promise.resolve();
    await Promise.resolve();
    expect(third.in).toBe(true);
  });

  it("takes one long pause for no overload", async () => {
    const { enter, adapt } = opened({ concurrent_max: 100, concurrent_min: 1 });
    await enter({ tenantId: "a" });
    adapt(busy);
    const second = arrival(enter({ tenantId: "a" }));
    await Promise.resolve();
    await Promise.resolve();
    expect(second.in).toBe(true);
  });

  it("lets in as many as before while it is late because others have the processor", async () => {
    const { enter, adapt } = opened({ concurrent_max: 2, concurrent_min: 1 });
    await enter({ tenantId: "a" });
    for (let i = 0; i < 100; i++) adapt({ ...busy, busyShare: 0.2 });
    const second = arrival(enter({ tenantId: "a" }));
    await Promise.resolve();
    await Promise.resolve();
    expect(second.in).toBe(true);
  });

  it("tells the log of a flood once, not once for each call", async () => {
    const { enter, lines } = opened({ concurrent_max: 1, tenant_waiting_max: 1 });
    await enter({ tenantId: "a" });
    arrival(enter({ tenantId: "a" }));
    for (let i = 0; i < 50; i++) await refusal(enter({ tenantId: "a" }));
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toMatchObject({ msg: "overloaded", why: "tenant-full", limit: 1 });
  });

  it("counts a place that is given back twice once", async () => {
    const { enter } = opened({ concurrent_max: 1 });
    const place = await enter({ tenantId: "a" });
    place.leave();
    place.leave();
    await enter({ tenantId: "a" });
    const second = arrival(enter({ tenantId: "a" }));
    await Promise.resolve();
    expect(second.in).toBe(false);
  });
});
