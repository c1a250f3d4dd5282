import { randomBytes } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { everyTenantSql } from "@soldier/storage/tenant";
import { describeOn, testNats, testPostgres } from "@soldier/storage/testing";
import { openLink } from "@soldier/storage/testing-link";
import type { Sql } from "postgres";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { EventBus } from "./bus.ts";
import { anEvent } from "./event-bus.contract.ts";
import { openBus } from "./open-bus.ts";
import { addToOutbox, outboxMigrations } from "./outbox.ts";
import { claim } from "./outbox-rows.ts";
import { publishLostAgain } from "./reconcile.ts";
import { startRelay } from "./relay.ts";
import { keeping, removeStreams } from "./testing.ts";

const backends = testPostgres([outboxMigrations]);

/** A broker's log in memory, whose end can be lost as after a power cut. */
function forgetfulBus() {
  let log = "first";
  let stored: string[] = [];
  let returns = 0;
  const bus: EventBus = {
    async publish(event) {
      stored.push(event.id);
      return { log, position: stored.length };
    },
    erase: async () => ({ erased: 0, pending: 0 }),
    holds: async (receipt, id) => receipt.log === log && stored[receipt.position - 1] === id,
    returns: () => returns,
    consume: () => Promise.reject(new Error("nobody consumes")),
    broadcast: () => Promise.reject(new Error("nobody listens")),
  };
  return {
    bus,
    lacks: (ids: readonly string[]) => ids.filter((id) => !stored.includes(id)),
    loseFrom(position: number) {
      stored = stored.slice(0, position);
      returns += 1;
    },
    beginAnew() {
      log = randomBytes(4).toString("hex");
      stored = [];
      returns += 1;
    },
  };
}

describeOn("what a broker has lost", backends, (backend) => {
  let sql: Sql;
  let opened: AsyncDisposableStack;
  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    sql = everyTenantSql(opened.use(await backend.open()).sql);
  });
  afterEach(() => opened.disposeAsync());

  async function commit(count: number): Promise<readonly string[]> {
    const events = Array.from({ length: count }, () => anEvent({}));
    for (const event of events) await addToOutbox(sql, [event]);
    return events.map(({ id }) => id);
  }
  const unpublished = async () => (await sql`select from outbox where published_at is null`).count;
  const relayTo = (bus: EventBus) => opened.use(startRelay({ sql, bus, name: "test", pollMs: 10 }));

  it.each([0, 1, 40, 99])("is published again, from position %i of 100 on", async (kept) => {
    const broker = forgetfulBus();
    const ids = await commit(100);
    relayTo(broker.bus);
    await expect.poll(unpublished).toBe(0);
    broker.loseFrom(kept);
    await expect.poll(() => broker.lacks(ids), { timeout: 5_000 }).toEqual([]);
  });

  it("is published again when the log was made anew and has grown meanwhile", async () => {
    const broker = forgetfulBus();
    const old = await commit(30);
    relayTo(broker.bus);
    await expect.poll(unpublished).toBe(0);
    broker.beginAnew();
    await commit(30);
    await expect.poll(() => broker.lacks(old), { timeout: 5_000 }).toEqual([]);
  });

  it("is found by a relay that starts afterwards", async () => {
    const broker = forgetfulBus();
    const ids = await commit(10);
    const relay = relayTo(broker.bus);
    await expect.poll(unpublished).toBe(0);
    await relay[Symbol.asyncDispose]();
    broker.loseFrom(4);
    relayTo(broker.bus);
    await expect.poll(() => broker.lacks(ids), { timeout: 5_000 }).toEqual([]);
  });

  it("is nothing when the broker holds all, and nothing is published twice then", async () => {
    const broker = forgetfulBus();
    await commit(10);
    relayTo(broker.bus);
    await expect.poll(unpublished).toBe(0);
    expect(await publishLostAgain(sql, broker.bus, new AbortController().signal)).toBe(0);
    expect(await unpublished()).toBe(0);
  });

  it("is published again the last first, and the rest a second's worth at a time, by whoever is left", async () => {
    const broker = forgetfulBus();
    const ids = await commit(1_300);
    const relay = relayTo(broker.bus);
    await expect.poll(unpublished, { timeout: 10_000 }).toBe(0);
    await relay[Symbol.asyncDispose]();
    broker.beginAnew();
    const waiting = async () => {
      const rows = await sql<{ id: string }[]>`
        select id from outbox where published_at is null order by seq`;
      return rows.map(({ id }) => id);
    };
    const dying = new AbortController();
    const dies = async () => dying.abort();
    await expect(publishLostAgain(sql, broker.bus, dying.signal, dies)).rejects.toThrow("aborted");
    expect(await waiting()).toEqual([...ids.slice(0, 250), ...ids.slice(800)]);
    relayTo(broker.bus);
    await expect.poll(() => broker.lacks(ids), { timeout: 10_000 }).toEqual([]);
  });

  /** As a relay does that looks for nothing lost. */
  async function publishAll(bus: EventBus): Promise<void> {
    for (let rows = await claim(sql, 500, 60_000); rows.length > 0;) {
      const done = [];
      for (const { seq, event } of rows) done.push({ seq, receipt: await bus.publish(event) });
      rows = await claim(sql, 500, 60_000, done);
    }
  }

  it.each([
    { kept: 400, grown: 0 },
    { kept: 400, grown: 250 },
    { kept: 400, grown: 700 },
    { kept: 400, grown: 1_100 },
    { kept: 1_000, grown: 40 },
    { kept: 1_000, grown: 600 },
  ])(
    "is found where some was given back: $kept of 1300 held, $grown came since",
    async ({ kept, grown }) => {
      const broker = forgetfulBus();
      const ids = [...(await commit(1_300))];
      await publishAll(broker.bus);
      broker.loseFrom(kept);
      ids.push(...(await commit(grown)));
      await publishAll(broker.bus);
      for (const diesAfter of [0, 1, 2]) {
        const dying = new AbortController();
        let pauses = 0;
        const dies = async () => {
          if (pauses++ === diesAfter) dying.abort();
        };
        await publishLostAgain(sql, broker.bus, dying.signal, dies).catch(() => {});
        await publishAll(broker.bus);
      }
      await publishLostAgain(sql, broker.bus, new AbortController().signal, async () => {});
      await publishAll(broker.bus);
      expect(broker.lacks(ids)).toHaveLength(0);
      expect(await publishLostAgain(sql, broker.bus, new AbortController().signal)).toBe(0);
    },
  );
});

const [embedded] = backends;
describeOn("a broker that lost its stream", testNats(), (nats) => {
  it("is given the events again when it is back", { timeout: 20_000 }, async () => {
    await using opened = new AsyncDisposableStack();
    if (!embedded) throw new Error("the embedded PostgreSQL is always there");
    const sql = everyTenantSql(opened.use(await embedded.open()).sql);
    const { url } = opened.use(await nats.open());
    const link = opened.use(await openLink(url));
    const root = `test_${randomBytes(6).toString("hex")}`;
    const settings = { root, replicas: 1, keep_hours: 1, connect_timeout_ms: 5_000, ...keeping };
    opened.defer(() => removeStreams({ ...settings, url }));
    const bus = await openBus({ settings: { ...settings, url: link.url }, opened });
    const got: string[] = [];
    await bus.consume({ consumer: "notes", topics: ["thing.happened"] }, async ({ id }) => {
      got.push(id);
    });
    opened.use(startRelay({ sql, bus, name: "test", pollMs: 10 }));
    const event = anEvent({});
    await addToOutbox(sql, [event]);
    await expect.poll(() => got).toEqual([event.id]);
    await expect
      .poll(async () => (await sql`select from outbox where receipt_position is not null`).count)
      .toBe(1);

    link.cut();
    const direct = await connect({ servers: new URL(url).host });
    opened.defer(() => direct.close());
    await (await jetstreamManager(direct)).streams.delete(`${root}_thing`);
    link.mend();
    await expect.poll(() => got, { timeout: 15_000 }).toEqual([event.id, event.id]);
  });
});
