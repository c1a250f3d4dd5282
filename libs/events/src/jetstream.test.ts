import { randomBytes } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { describeOn, testNats } from "@soldier/storage/testing";
import { type Link, openLink } from "@soldier/storage/testing-link";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openBus } from "./open-bus.ts";
import type { EventsSettings } from "./events-settings.ts";
import type { Event } from "./event.ts";
import { anEvent } from "./event-bus.contract.ts";
import { keeping } from "./testing.ts";

const topic = "thing.happened";

describe("opening a bus", () => {
  const settings = {
    root: "test",
    replicas: 1,
    keep_hours: 1,
    connect_timeout_ms: 500,
    ...keeping,
  };

  it("says in a sentence that there is no broker, without the password", async () => {
    await using opened = new AsyncDisposableStack();
    const opening = openBus({
      settings: { ...settings, url: "nats://me:secret@127.0.0.1:1" },
      opened,
    });
    await expect(opening).rejects.toMatchObject({
      kind: "unavailable",
      reason: "NATS_UNAVAILABLE",
      message: expect.stringMatching(
        /^NATS with JetStream at 127\.0\.0\.1:1 cannot be used \(.+\); start it, or set \[events\] url$/,
      ),
    });
  });

  it("refuses an option of inproc:// that it doesn't know", async () => {
    await using opened = new AsyncDisposableStack();
    const opening = openBus({ settings: { ...settings, url: "inproc://x?consumer=a" }, opened });
    await expect(opening).rejects.toMatchObject({ kind: "invalid" });
  });
});

describe("the bus in one process", () => {
  it("publishes nothing before the consumers that are awaited have come", async () => {
    await using opened = new AsyncDisposableStack();
    const url = `inproc://${randomBytes(6).toString("hex")}?consumers=audit,memory`;
    const settings = {
      url,
      root: "test",
      replicas: 1,
      keep_hours: 1,
      connect_timeout_ms: 500,
      ...keeping,
    };
    const bus = await openBus({ settings, opened });
    const got: string[] = [];
    const note = (consumer: string) =>
      bus.consume({ consumer, topics: [topic] }, async () => void got.push(consumer));
    await note("audit");
    const hasty = bus.publish(anEvent({}), AbortSignal.timeout(20));
    await expect(hasty).rejects.toMatchObject({ kind: "unavailable" });
    expect(got).toEqual([]);
    const publishing = bus.publish(anEvent({}));
    await note("memory");
    await publishing;
    expect(got.toSorted()).toEqual(["audit", "memory"]);
  });

  it("rejects what a consumer gives up when it has nowhere to keep dead letters", async () => {
    await using opened = new AsyncDisposableStack();
    const url = `inproc://${randomBytes(6).toString("hex")}`;
    const settings = {
      url,
      root: "test",
      replicas: 1,
      keep_hours: 1,
      connect_timeout_ms: 500,
      ...keeping,
    };
    const bus = await openBus({ settings, opened });
    const consumption = { consumer: "audit", topics: [topic], attemptsMax: 2, backoff: () => 1 };
    await bus.consume(consumption, async () => {
      throw new Error("never");
    });
    await expect(bus.publish(anEvent({}))).rejects.toMatchObject({ reason: "EVENT_GIVEN_UP" });
  });
});

describeOn("the bus", testNats(), (backend) => {
  let opened: AsyncDisposableStack;
  let settings: EventsSettings;
  let link: Link;
  let direct: NatsConnection;

  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    const { url } = opened.use(await backend.open());
    link = opened.use(await openLink(url));
    const root = `test_${randomBytes(6).toString("hex")}`;
    settings = {
      url: link.url,
      root,
      replicas: 1,
      keep_hours: 1,
      connect_timeout_ms: 2_000,
      ...keeping,
    };
    direct = await connect({ servers: new URL(url).host });
    opened.defer(() => direct.close());
    const manager = await jetstreamManager(direct);
    opened.defer(async () => {
      for await (const { config } of manager.streams.list())
        if (config.name.startsWith(root)) await manager.streams.delete(config.name);
    });
  });
  afterEach(() => opened.disposeAsync());

  it.each(["closed", "reset"] as const)(
    "survives a connection that was %s: publishing is refused, consumers and listeners resume",
    async (how) => {
      const bus = await openBus({ settings, opened });
      const elsewhere = await openBus({ settings: { ...settings, url: urlOf(direct) }, opened });
      const got: string[] = [];
      const seen: string[] = [];
      await bus.consume(
        { consumer: "audit", topics: [topic] },
        async ({ id }) => void got.push(id),
      );
      await bus.broadcast([topic], async ({ id }) => void seen.push(id));
      const [before, during, after] = [anEvent({}), anEvent({}), anEvent({})];
      await bus.publish(before);
      await expect.poll(() => [got, seen]).toEqual([[before.id], [before.id]]);
      if (how === "reset") link.cut("reset");
      else link.cut();
      await expect(bus.publish(anEvent({}), AbortSignal.timeout(300))).rejects.toMatchObject({
        kind: "unavailable",
      });
      await elsewhere.publish(during);
      link.mend();
      await expect
        .poll(
          () =>
            bus.publish(after).then(
              () => true,
              () => false,
            ),
          { timeout: 15_000 },
        )
        .toBe(true);
      await expect
        .poll(() => got, { timeout: 15_000 })
        .toEqual(expect.arrayContaining([before.id, during.id, after.id]));
      await expect
        .poll(() => seen, { timeout: 15_000 })
        .toEqual(expect.arrayContaining([before.id, during.id, after.id]));
    },
  );

  it("declares streams and consumers again when the broker has lost them", async () => {
    const bus = await openBus({ settings, opened });
    const got: string[] = [];
    const seen: string[] = [];
    await bus.consume({ consumer: "audit", topics: [topic] }, async ({ id }) => void got.push(id));
    await bus.broadcast([topic], async ({ id }) => void seen.push(id));
    const manager = await jetstreamManager(direct);
    await manager.streams.delete(`${settings.root}_thing`);
    const event = anEvent({});
    await expect
      .poll(
        () =>
          bus.publish(event).then(
            () => true,
            () => false,
          ),
        { timeout: 15_000 },
      )
      .toBe(true);
    await expect.poll(() => got, { timeout: 15_000 }).toContain(event.id);
    const later = anEvent({});
    await expect
      .poll(
        async () => {
          await bus.publish({ ...later, id: anEvent({}).id });
          return seen.length;
        },
        { timeout: 15_000, interval: 200 },
      )
      .toBeGreaterThan(0);
  });

  it("buries an event whose consumer has died of it too often, without trying it once more", async () => {
    const bus = await openBus({ settings, opened });
    const consumption = { consumer: "audit", topics: [topic], attemptsMax: 2 };
    await (await bus.consume(consumption, async () => {}))[Symbol.asyncDispose]();
    const event = anEvent({});
    await bus.publish(event);
    // Two consumers that take it and are never heard of again; their acks would have run out.
    const raw = await jetstream(direct).consumers.get(
      `${settings.root}_thing`,
      "audit_thing_happened",
    );
    for (const _ of [1, 2]) (await raw.next())?.nak();
    const tried: string[] = [];
    await bus.consume(consumption, async ({ id }) => void tried.push(id));
    const manager = await jetstreamManager(direct);
    const letters = () =>
      manager.streams.info(`${settings.root}_dead_letters`).then(
        ({ state }) => state.messages,
        () => 0,
      );
    await expect.poll(letters).toBe(1);
    expect(tried).toEqual([]);
  });

  it("refuses an event that is too large for the broker, for good", async () => {
    const bus = await openBus({ settings, opened });
    const event = anEvent({ payload: randomBytes(9_000_000) });
    await expect(bus.publish(event)).rejects.toMatchObject({
      kind: "invalid",
      reason: "EVENT_REFUSED",
    });
    await bus.publish(anEvent({}));
  });

  it("erases what its followers have taken, dead letters too, and tells what they have not", async () => {
    const bus = await openBus({ settings, opened });
    const [gone, dead, kept, other] = [1, 2, 3, 4].map((n) =>
      anEvent({ payload: Uint8Array.of(n) }),
    );
    if (!gone || !dead || !kept || !other) throw new Error("four were made");
    const consumption = { consumer: "audit", topics: [topic], attemptsMax: 1 };
    const taken: string[] = [];
    await bus.consume(consumption, async ({ id }) => {
      taken.push(id);
      if (id === dead.id) throw new Error("not this one");
    });
    for (const event of [gone, dead, kept, { ...other, tenantId: "globex" }])
      await bus.publish(event);
    const manager = await jetstreamManager(direct);
    const letters = () =>
      manager.streams.info(`${settings.root}_dead_letters`).then(
        ({ state }) => state.messages,
        () => 0,
      );
    await expect.poll(() => taken.length).toBe(4);
    await expect.poll(letters).toBe(1);
    const erasing = { topic, tenantId: "acme", matches: ({ id }: Event) => id !== kept.id };
    await expect
      .poll(async () => {
        const { erased, pending } = await bus.erase(erasing);
        return erased > 0 && pending === 0 ? erased : 0;
      })
      .toBe(3);
    expect(await letters()).toBe(0);
    expect(await bus.erase(erasing)).toEqual({ erased: 0, pending: 0 });
    const late: string[] = [];
    const closing = await bus.consume(
      { consumer: "late", topics: [topic] },
      async ({ id }) => void late.push(id),
    );
    await expect.poll(() => late.toSorted()).toEqual([kept.id, other.id].toSorted());

    await closing[Symbol.asyncDispose]();
    const untaken = anEvent({});
    await bus.publish(untaken);
    await expect.poll(() => bus.erase(erasing)).toEqual({ erased: 0, pending: 1 });
    await bus.consume({ consumer: "late", topics: [topic] }, async () => {});
    await expect.poll(() => bus.erase(erasing)).toEqual({ erased: 1, pending: 0 });
  });

  it("keeps dead letters for longer than events", async () => {
    const bus = await openBus({ settings, opened });
    await bus.consume({ consumer: "audit", topics: [topic], attemptsMax: 1 }, () =>
      Promise.reject(new Error("never")),
    );
    await bus.publish(anEvent({}));
    const manager = await jetstreamManager(direct);
    const keptFor = () =>
      manager.streams.info(`${settings.root}_dead_letters`).then(
        ({ config }) => config.max_age,
        () => undefined,
      );
    await expect.poll(keptFor).toBe(settings.dead_letters_keep_days * 24 * 3_600e9);
  });

  it("brings a stream in line with the settings", async () => {
    await using first = new AsyncDisposableStack();
    await (await openBus({ settings, opened: first })).publish(anEvent({}));
    const bus = await openBus({ settings: { ...settings, keep_hours: 2 }, opened });
    await bus.publish(anEvent({}));
    const manager = await jetstreamManager(direct);
    const { config, state } = await manager.streams.info(`${settings.root}_thing`);
    expect(config.max_age).toBe(2 * 3_600e9);
    expect(state.messages).toBe(2);
  });
});

function urlOf(connection: NatsConnection): string {
  return `nats://${connection.getServer()}`;
}
