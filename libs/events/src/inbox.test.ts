import { newId } from "@soldier/kernel/ids";
import { roleOf } from "@soldier/storage/role";
import { everyTenantSql } from "@soldier/storage/tenant";
import { describeOn, testPostgres, type TestPostgres } from "@soldier/storage/testing";
import type { Sql } from "postgres";
import { afterEach, beforeEach, expect, it } from "vitest";
import { deadLettersInto } from "./dead-letters.ts";
import { anEvent } from "./event-bus.contract.ts";
import { inboxMigrations, once, prunableInbox, pruneInbox } from "./inbox.ts";

describeOn("an inbox", testPostgres([inboxMigrations]), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  let sql: Sql;
  beforeEach(async () => {
    place = await backend.open();
    sql = everyTenantSql(place.sql);
    await place.owner`create table effects (id uuid)`;
    await place.owner`grant select, insert on effects to ${place.owner(roleOf(place.schema))}`;
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const deliver = (consumer: string, id: string) =>
    once(sql, consumer, { id }, async (tx) => {
      await tx`insert into effects values (${id})`;
    });
  const effects = async () => (await sql`select from effects`).count;

  it("gives an event one effect, however many deliveries come at once", async () => {
    const id = newId();
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => deliver("audit", id)));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    expect(await effects()).toBe(1);
  });

  it("keeps consumers apart", async () => {
    const id = newId();
    expect(await deliver("audit", id)).toBe(true);
    expect(await deliver("memory", id)).toBe(true);
    expect(await effects()).toBe(2);
  });

  it("forgets a delivery whose effect failed, with all that it did", async () => {
    const id = newId();
    const failing = once(sql, "audit", { id }, async (tx) => {
      await tx`insert into effects values (${id})`;
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await effects()).toBe(0);
    expect(await deliver("audit", id)).toBe(true);
  });

  it("can be rid of old notes, a batch at a time", async () => {
    const ids = [newId(), newId(), newId()];
    for (const id of ids) await deliver("audit", id);
    await place.owner`update inbox set received_at = now() - interval '40 days' where event_id <> ${ids[2] ?? ""}`;
    expect(await pruneInbox(sql, 30, 1)).toBe(1);
    expect(await pruneInbox(sql, 30)).toBe(1);
    expect(await pruneInbox(sql, 30)).toBe(0);
    expect(await deliver("audit", ids[2] ?? "")).toBe(false);
  });

  it("and the dead letters beside it are pruned by how long each is kept", async () => {
    const [old, young] = [anEvent({}), anEvent({})];
    for (const event of [old, young]) {
      await deliver("audit", event.id);
      await deadLettersInto(sql)({ event, consumer: "audit", attempts: 8, reason: "Error: a" });
    }
    await place.owner`update inbox set received_at = now() - interval '40 days' where event_id = ${old.id}`;
    await place.owner`update dead_letters set died_at = now() - interval '35 days' where event_id = ${old.id}`;
    const prunedWith = async (inbox: number, letters: number) => {
      const kept = { inbox_keep_days: inbox, dead_letters_keep_days: letters };
      const tables = prunableInbox(sql, kept).map(async ({ table, prune }) => [
        table,
        await prune(10),
      ]);
      return Object.fromEntries(await Promise.all(tables)) as unknown;
    };
    expect(await prunedWith(45, 36)).toEqual({ inbox: 0, dead_letters: 0 });
    expect(await prunedWith(39, 34)).toEqual({ inbox: 1, dead_letters: 1 });
    expect(await sql`select event_id from dead_letters`).toEqual([{ event_id: young.id }]);
    expect(await deliver("audit", young.id)).toBe(false);
  });

  it("has a table for dead letters, one row for each event and consumer", async () => {
    const keep = deadLettersInto(sql);
    const event = anEvent({});
    await keep({ event, consumer: "audit", attempts: 8, reason: "Error: a" });
    await keep({ event, consumer: "audit", attempts: 8, reason: "Error: b" });
    await keep({ event, consumer: "memory", attempts: 1, reason: "Error: c" });
    const rows = await sql`
      select consumer, event_id, topic, tenant_id, payload, occurred_at, attempts, reason
      from dead_letters order by consumer`;
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      consumer: "audit",
      event_id: event.id,
      topic: event.topic,
      tenant_id: "acme",
      occurred_at: event.occurredAt,
      attempts: 16,
      reason: "Error: b",
    });
  });
});
