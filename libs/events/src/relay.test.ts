import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import { roleOf } from "@soldier/storage/role";
import { everyTenantSql } from "@soldier/storage/tenant";
import { describeOn, testPostgres, type TestPostgres } from "@soldier/storage/testing";
import type { Sql } from "postgres";
import { register } from "prom-client";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { EventBus } from "./bus.ts";
import { openBus } from "./open-bus.ts";
import { anEvent } from "./event-bus.contract.ts";
import type { Event } from "./event.ts";
import { inboxMigrations, once } from "./inbox.ts";
import { addToOutbox, outboxMigrations } from "./outbox.ts";
import { claim } from "./outbox-rows.ts";
import { type Relay, type RelayOptions, startRelay } from "./relay.ts";
import { keeping } from "./testing.ts";

const backends = testPostgres([outboxMigrations, inboxMigrations]);

describeOn("an outbox and its relays", backends, (backend) => {
  let place: TestPostgres & AsyncDisposable;
  let sql: Sql;
  let opened: AsyncDisposableStack;
  let bus: EventBus;
  /** What a consumer on the bus has got, in order. */
  let got: Event[];

  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    place = opened.use(await backend.open());
    sql = everyTenantSql(place.sql);
    const url = `inproc://${randomBytes(6).toString("hex")}`;
    const settings = {
      url,
      root: "test",
      replicas: 1,
      keep_hours: 1,
      connect_timeout_ms: 1_000,
      ...keeping,
    };
    bus = await openBus({ settings, opened });
    got = [];
    await bus.consume({ consumer: "notes", topics: ["thing.happened"] }, async (event) => {
      got.push(event);
    });
  });
  afterEach(() => opened.disposeAsync());

  function start(options: Partial<RelayOptions> = {}): Relay {
    return opened.use(startRelay({ sql, bus, name: "test", pollMs: 20, ...options }));
  }

  async function commit(...events: readonly Event[]): Promise<void> {
    await sql.begin((tx) => addToOutbox(tx, events));
  }

  const unpublished = async () => (await sql`select from outbox where published_at is null`).count;

  /** The same bus, but each publication is first shown to the guard. */
  function guarded(guard: (event: Event) => Promise<void> | void): EventBus {
    return {
      ...bus,
      async publish(event, signal) {
        await guard(event);
        await bus.publish(event, signal);
      },
    };
  }

  it("publish what was committed as it was, and nothing of what was not", async () => {
    start();
    const event = anEvent({
      tenantId: "Köln",
      payload: randomBytes(5_000),
      traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    });
    const undone = sql.begin(async (tx) => {
      await addToOutbox(tx, [anEvent({})]);
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    await commit(event);
    await expect.poll(() => got).toEqual([{ ...event, payload: expect.anything() }]);
    expect(Buffer.from(got[0]?.payload ?? []).equals(event.payload)).toBe(true);
    await expect.poll(unpublished).toBe(0);
  });

  it("publish at once when poked", async () => {
    const relay = start({ pollMs: 600_000 });
    for (let n = 1; n <= 5; n++) {
      await commit(anEvent({}));
      relay.poke();
      await expect.poll(() => got.length).toBe(n);
    }
  });

  it("mark a row after the bus has taken it, never before", async () => {
    const taking = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    start({
      bus: guarded(async () => {
        asked.resolve();
        await taking.promise;
      }),
    });
    await commit(anEvent({}));
    await asked.promise;
    expect(await unpublished()).toBe(1);
    taking.resolve();
    await expect.poll(unpublished).toBe(0);
  });

  it("leave a broker that is away in peace, however many rows wait, and go on when it is back", async () => {
    let asked = 0;
    let away = true;
    start({
      bus: guarded(() => {
        asked += 1;
        if (away) throw new Fault("unavailable", "not stored");
      }),
    });
    await commit(...Array.from({ length: 2_000 }, () => anEvent({})));
    await pause(3_000);
    expect(asked).toBeGreaterThanOrEqual(8);
    expect(asked).toBeLessThan(400); // those of the first look, and a few each second
    away = false;
    await expect.poll(unpublished, { timeout: 10_000 }).toBe(0);
  });

  it("share the rows: of several relays each row is published by one", async () => {
    const published: string[] = [];
    const counting = guarded(({ id }) => void published.push(id));
    for (let n = 0; n < 3; n++) start({ bus: counting });
    const events = Array.from({ length: 1_000 }, () => anEvent({}));
    for (let n = 0; n < 10; n++) await commit(...events.slice(n * 100, n * 100 + 100));
    await expect.poll(unpublished, { timeout: 10_000 }).toBe(0);
    expect(published.toSorted()).toEqual(events.map(({ id }) => id).toSorted());
  });

  it("pass a row that can't be published, and try it again later", async () => {
    let attempts = 0;
    start({
      bus: guarded(({ tenantId }) => {
        if (tenantId !== "poison") return;
        attempts++;
        if (attempts < 2) throw new Fault("invalid", "too large");
      }),
    });
    const [poison, fine] = [anEvent({ tenantId: "poison" }), anEvent({})];
    await commit(poison, fine);
    await expect.poll(() => got.map(({ id }) => id)).toEqual([fine.id]);
    await expect
      .poll(() => sql`select attempts, last_error from outbox where published_at is null`)
      .toEqual([{ attempts: 1, last_error: "Fault: too large" }]);
    await expect
      .poll(() => got.map(({ id }) => id), { timeout: 5_000 })
      .toEqual([fine.id, poison.id]);
  });

  it("deliver all after the broker was away", async () => {
    let away = true;
    start({
      bus: guarded(() => {
        if (away) throw new Fault("unavailable", "no broker");
      }),
    });
    const events = Array.from({ length: 20 }, () => anEvent({}));
    await commit(...events);
    await expect
      .poll(() => sql`select min(attempts)::int as least from outbox`)
      .toEqual([{ least: 1 }]);
    away = false;
    await expect.poll(() => got.length, { timeout: 5_000 }).toBe(20);
    await expect.poll(unpublished).toBe(0);
  });

  it("take over what a relay that died had claimed", async () => {
    await commit(anEvent({}), anEvent({}));
    // What a relay does before it publishes; then it is gone.
    expect(await claim(sql, 10, 300)).toHaveLength(2);
    start();
    expect(await claim(sql, 10, 300)).toHaveLength(0);
    await expect.poll(() => got.length).toBe(2);
  });

  it("keep a claim while a consumer takes longer than it lasts", async () => {
    const asked: string[] = [];
    const finish = Promise.withResolvers<void>();
    const slow = guarded(async ({ id }) => {
      asked.push(id);
      await finish.promise;
    });
    start({ bus: slow, claimMs: 150 });
    start({ bus: slow, claimMs: 150 });
    await commit(anEvent({}));
    const later = anEvent({});
    await sql`select pg_sleep(0.6)`; // four claims long
    finish.resolve();
    await commit(later);
    await expect.poll(() => asked.length).toBe(2);
    expect(new Set(asked).size).toBe(2);
  });

  it("publish again what was published but not marked, and the inbox makes it one effect", async () => {
    await place.owner`create table effects (id uuid)`;
    await place.owner`grant select, insert on effects to ${place.owner(roleOf(place.schema))}`;
    const outcomes: boolean[] = [];
    await bus.consume({ consumer: "effects", topics: ["thing.happened"] }, async (event) => {
      // In this process the bus remembers ids; a copy stands for a delivery that it has forgotten.
      for (const copy of [event, { ...event }])
        outcomes.push(
          await once(sql, "effects", copy, async (tx) => {
            await tx`insert into effects values (${copy.id})`;
          }),
        );
    });
    start();
    await commit(anEvent({}));
    await expect.poll(unpublished).toBe(0);
    await sql`update outbox set published_at = null, next_attempt_at = now()`; // the crash
    await expect.poll(unpublished).toBe(0);
    expect(outcomes).toEqual([true, false]);
    expect(await sql`select from effects`).toHaveLength(1);
  });

  it("go on after the database was lost for a while", async () => {
    const relay = start();
    await commit(anEvent({}));
    await expect.poll(() => got.length).toBe(1);
    await place.owner`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = ${`soldier-${place.schema}`}`;
    await addToOutbox(place.owner, [anEvent({})]);
    relay.poke();
    await expect.poll(() => got.length, { timeout: 10_000 }).toBe(2);
  });

  it("forget rows that were published long enough ago, and only those", async () => {
    const [old, fresh, waiting] = [anEvent({}), anEvent({}), anEvent({})];
    await commit(old, fresh, waiting);
    await sql`update outbox set published_at = now() - interval '2 hours' where id = ${old.id}`;
    await sql`update outbox set published_at = now() where id = ${fresh.id}`;
    await sql`update outbox set next_attempt_at = now() + interval '1 day' where id = ${waiting.id}`;
    start();
    const ids = async () => (await sql`select id from outbox order by seq`).map((row) => row["id"]);
    await expect.poll(ids).toEqual([fresh.id, waiting.id]);
  });

  it("give back, when they stop, what is not published yet", async () => {
    const asked = Promise.withResolvers<void>();
    const stuck: EventBus = {
      ...bus,
      publish: (_event, signal) =>
        new Promise((_, reject) => {
          asked.resolve();
          signal?.addEventListener("abort", () => reject(new Error("stopped")));
        }),
    };
    const relay = startRelay({ sql, bus: stuck, name: "test", closePatienceMs: 50 });
    await commit(anEvent({}));
    relay.poke();
    await asked.promise;
    await relay[Symbol.asyncDispose]();
    start();
    await expect.poll(() => got.length).toBe(1);
  });

  it("tell how many rows wait and how old the oldest is", async () => {
    const event = anEvent({ occurredAt: new Date(Date.now() - 90_000) });
    await commit(event);
    await sql`update outbox set next_attempt_at = now() + interval '1 day'`;
    start({ name: "waiting" });
    const value = async (metric: string) =>
      (await register.getSingleMetric(metric)?.get())?.values.find(
        ({ labels }) => labels["outbox"] === "waiting",
      )?.value;
    await expect.poll(() => value("soldier_outbox_backlog")).toBe(1);
    expect(await value("soldier_outbox_oldest_age_seconds")).toBeGreaterThanOrEqual(90);
  });
});
