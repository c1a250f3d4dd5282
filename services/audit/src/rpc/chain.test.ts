import { readFile } from "node:fs/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { inboxMigrations } from "@soldier/events/inbox";
import { systemClock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { AuditEventSchema } from "@soldier/proto/audit/v1/audit_service";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { describeOn, testPostgres, type TestPostgres } from "@soldier/storage/testing";
import type { Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { masterKey } from "@soldier/kernel/seal";
import type { AuditStore, Interval } from "../store/audit-store.ts";
import { postgresCustomerKeys } from "../store/customer-keys.ts";
import { type Months, postgresMonths } from "../store/months.ts";
import { postgresAuditStore } from "../store/postgres.ts";
import { verify } from "./verify.ts";

const migrations = [new URL("../../migrations/", import.meta.url), inboxMigrations];
const now = new Date("2026-11-20T12:00:00Z");
const secret = "what the customer said";

describeOn("the chain of audit records", testPostgres(migrations), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  let sql: Sql;
  let store: AuditStore;
  let months: Months;
  const tenantId = "acme";
  beforeEach(async () => {
    place = await backend.open();
    sql = place.sql;
    months = postgresMonths(sql);
    await months.add(now);
    store = storeWith("");
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const storeWith = (key: string) =>
    postgresAuditStore(
      sql,
      postgresCustomerKeys(sql, masterKey(key, "soldier audit customer keys"), systemClock),
    );

  async function turn({ at = now, customerId = "ana", tenant = tenantId } = {}): Promise<string> {
    const turnId = newId();
    const record = create(TurnRecordSchema, {
      turnId,
      customerId,
      userText: secret,
      replyText: "an answer",
      context: { intent: secret },
      toolCalls: [{ name: "find_order" }],
      reply: { source: "template", checks: [{ kind: "judge", reason: secret }] },
      steps: [{ name: "retrieve" }],
    });
    const event = { topic: "turn.committed", payload: Uint8Array.of(), tenantId: tenant };
    await store.addTurnRecord({ ...event, id: newId(), occurredAt: at }, record, at, at);
    return turnId;
  }
  async function acted(tenant = tenantId): Promise<void> {
    const id = newId();
    const event = create(AuditEventSchema, {
      id,
      action: "agent.published",
      occurredAt: timestampFromDate(now),
    });
    await store.addAuditEvent({ id, tenantId: tenant, occurredAt: now }, event, now);
  }
  const verified = (interval: Interval = {}, knownEnd = "") =>
    verify(store, tenantId, interval, knownEnd, new AbortController().signal);
  /** As somebody does who may do anything with the database. */
  async function tamper(change: (tx: Sql) => Promise<unknown>): Promise<void> {
    await place.owner.begin(async (tx) => {
      for (const table of ["turn_records", "audit_events", "chain"])
        await tx`alter table ${tx(table)} disable trigger user`;
      for (const { name } of await tx<{ name: string }[]>`
        select inhrelid::regclass::text as name from pg_inherits
        where inhparent in ('turn_records'::regclass, 'audit_events'::regclass)`)
        await tx.unsafe(`alter table ${name} disable trigger user`);
      await change(tx as unknown as Sql); // a transaction can do all that is needed here
    });
  }

  it("holds everything that was recorded, in one order, however many write at once", async () => {
    await Promise.all(Array.from({ length: 30 }, (_, n) => (n % 3 ? turn() : acted())));
    await turn({ tenant: "globex" });
    const { broken, checked, end } = await verified();
    expect({ broken, checked }).toEqual({ broken: undefined, checked: 30 });
    expect(end).toMatch(/^30:[0-9a-f]{64}$/);
  });

  it("is whole for a tenant of whom nothing was recorded", async () => {
    expect(await verified()).toEqual({ checked: 0, dropped: 0, broken: undefined, end: "" });
  });

  describe("shows", () => {
    beforeEach(async () => {
      for (let n = 0; n < 5; n++) await (n === 2 ? acted() : turn());
    });

    it("a record that was changed", async () => {
      const other = toBinary(TurnRecordSchema, create(TurnRecordSchema, { bundleVersion: 9n }));
      await tamper(
        (tx) => tx`update turn_records set record = ${other}
        where turn_id = (select id from chain where seq = 4)`,
      );
      const { broken } = await verified();
      expect(broken?.at).toMatch(/^4 \(turn /);
      expect(broken?.reason).toBe("its record was changed");
    });

    it("what is personal in a record, changed without its key", async () => {
      await tamper(
        (tx) => tx`update turn_records set personal = '\\x00' || personal
        where turn_id = (select id from chain where seq = 1)`,
      );
      expect((await verified()).broken?.reason).toBe("its record was changed");
    });

    it("a record that was removed", async () => {
      await tamper(
        (tx) => tx`delete from turn_records
        where turn_id = (select id from chain where seq = 2)`,
      );
      expect((await verified()).broken).toMatchObject({ reason: "its record is missing" });
    });

    it("an event that was removed together with its entry", async () => {
      await tamper(async (tx) => {
        await tx`delete from audit_events where id = (select id from chain where seq = 3)`;
        await tx`delete from chain where seq = 3`;
      });
      expect((await verified()).broken?.reason).toBe("entries 3 to 3 are missing before it");
    });

    it("an end that was cut off", async () => {
      await tamper(async (tx) => {
        await tx`delete from turn_records where turn_id = (select id from chain where seq = 5)`;
        await tx`delete from chain where seq = 5`;
      });
      expect((await verified()).broken?.reason).toBe("the end of the chain was cut off");
    });

    it("a record that was put beside it", async () => {
      await tamper(
        (tx) => tx`insert into turn_records
        select tenant_id, received_at, gen_random_uuid(), session_id, agent_id, customer_id,
          recorded_at, record, personal from turn_records limit 1`,
      );
      expect((await verified()).broken?.reason).toBe("it was put beside the chain");
    });

    it("that it was made anew, to whoever has kept an earlier end", async () => {
      const { end } = await verified();
      await tamper(async (tx) => {
        await tx`delete from turn_records`;
        await tx`delete from audit_events`;
        await tx`delete from chain`;
        await tx`delete from chain_heads`;
      });
      await tamper(async (tx) => {
        for (const table of ["turn_records", "audit_events"])
          await tx`alter table ${tx(table)} enable trigger user`;
      });
      for (let n = 0; n < 6; n++) await acted();
      expect((await verified()).broken).toBeUndefined();
      expect((await verified({}, end)).broken?.reason).toBe(
        "the chain does not hold the end that was known",
      );
    });

    it("nothing when it has only grown since the end that is known", async () => {
      const { end } = await verified();
      await turn();
      expect((await verified({}, end)).broken).toBeUndefined();
      await expect(verified({}, "5:abc")).rejects.toMatchObject({ reason: "KNOWN_END_INVALID" });
    });

    it("nothing of what lies outside the interval that is asked for", async () => {
      const later = new Date(now.getTime() + 3_600_000);
      await turn({ at: later });
      await tamper(
        (tx) => tx`delete from turn_records
        where turn_id = (select id from chain where seq = 1)`,
      );
      expect((await verified()).broken).toBeDefined();
      const { broken, checked } = await verified({ from: later });
      expect({ broken, checked }).toEqual({ broken: undefined, checked: 1 });
    });
  });

  describe("of a customer who was forgotten", () => {
    it("holds, though nothing personal can be read any more", async () => {
      const turnId = await turn();
      const others = await turn({ customerId: "bob" });
      expect(await store.turnRecord(tenantId, turnId)).toMatchObject({ userText: secret });
      expect(await store.forget(tenantId, "ana")).toEqual({
        records: 1,
        destroyed: true,
        unreadableLetters: 0,
      });
      const record = await store.turnRecord(tenantId, turnId);
      expect(record).toMatchObject({
        personalErased: true,
        userText: "",
        replyText: "",
        toolCalls: [],
        reply: { source: "template", checks: [] },
        steps: [{ name: "retrieve" }],
      });
      expect(record?.context).toBeUndefined();
      expect(await store.turnRecord(tenantId, others)).toMatchObject({
        userText: secret,
        personalErased: false,
      });
      expect((await verified()).broken).toBeUndefined();
      expect(await store.forget(tenantId, "ana")).toEqual({
        records: 1,
        destroyed: false,
        unreadableLetters: 0,
      });
    });

    it("takes late records without what is personal in them", async () => {
      await store.forget(tenantId, "ana");
      const turnId = await turn();
      expect(await store.turnRecord(tenantId, turnId)).toMatchObject({
        personalErased: true,
        userText: "",
      });
      const rows = await place.owner<{ record: Uint8Array; personal: Uint8Array }[]>`
        select record, personal from turn_records`;
      for (const { record, personal } of rows)
        expect(Buffer.concat([record, personal]).includes(secret)).toBe(false);
    });

    it("leaves the customer of the same name of another tenant alone", async () => {
      const turnId = await turn({ tenant: "globex" });
      await store.forget(tenantId, "ana");
      expect(await store.turnRecord("globex", turnId)).toMatchObject({ userText: secret });
    });
  });

  it("keeps what is personal unreadable to whoever has the database only", async () => {
    store = storeWith("a key of the deployment, long enough");
    const turnId = await turn();
    const [row] = await place.owner<{ record: Uint8Array; personal: Uint8Array }[]>`
      select record, personal from turn_records`;
    expect(row && Buffer.concat([row.record, row.personal]).includes(secret)).toBe(false);
    const [{ key } = { key: undefined }] = await place.owner`select key from customer_keys`;
    expect(key).toHaveLength(60);
    expect(await store.turnRecord(tenantId, turnId)).toMatchObject({ userText: secret });
    const other = storeWith("another key, that is long enough, too").turnRecord(tenantId, turnId);
    await expect(other).rejects.toMatchObject({ reason: "ENCRYPTION_KEY_WRONG" });
  });

  it("stays when the months of its records are dropped", async () => {
    const before = new Date("2026-01-15T12:00:00Z");
    await months.add(before);
    await turn({ at: before });
    await turn();
    expect(await months.drop(now, 11)).toEqual([]);
    const dropped = await months.drop(now, 6);
    expect(dropped).toContain("turn_records_2026_01");
    expect(dropped).not.toContain("turn_records_2026_11");
    const { broken, checked, dropped: gone } = await verified();
    expect({ broken, checked, gone }).toEqual({ broken: undefined, checked: 2, gone: 1 });
    expect(await months.drop(now, 6)).toEqual([]);
  });

  it("takes what the release before it inserts", async () => {
    const record = toBinary(TurnRecordSchema, create(TurnRecordSchema, { userText: "as it was" }));
    const turnId = newId();
    await place.owner`
      with noted as (insert into inbox (consumer, event_id) values ('audit', ${newId()})
        on conflict do nothing returning event_id),
      kept as (
        insert into turn_records (tenant_id, received_at, turn_id, session_id, agent_id,
          customer_id, recorded_at, record)
        select ${tenantId}, ${now}::timestamptz, ${turnId}::uuid, '', '', '', ${now}::timestamptz,
          ${record}::bytea
        from noted
        on conflict do nothing
      )
      select from noted`;
    expect(await store.turnRecord(tenantId, turnId)).toMatchObject({ userText: "as it was" });
    expect(await verified()).toMatchObject({ checked: 1, broken: undefined });
  });

  it("has the records that were there before it", async () => {
    // As a database looks that the release before has written to.
    const schema = `before_${newId().replaceAll("-", "")}`;
    const text = (name: string) =>
      readFile(new URL(`../../migrations/${name}`, import.meta.url), "utf8");
    await place.owner.begin(async (tx) => {
      await tx.unsafe(`create schema ${schema}; set local search_path to ${schema}`);
      await tx.unsafe(await text("0001_records.sql"));
      const record = toBinary(TurnRecordSchema, create(TurnRecordSchema, { userText: "old" }));
      for (let n = 0; n < 3; n++)
        await tx`insert into turn_records values
          (${tenantId}, ${new Date(now.getTime() - n * 40 * 86_400_000)}, ${newId()}, '', '', '',
            ${now}, ${record})`;
      await tx.unsafe(await text("0002_chain.sql"));
      const [row] = await tx`select
        (select count(*)::int from turn_records) as records,
        (select max(seq)::int from chain) as links,
        (select count(*)::int from turn_records_other) as other`;
      expect(row).toEqual({ records: 3, links: 3, other: 0 });
      await tx.unsafe(`drop schema ${schema} cascade`);
    });
  });
});
