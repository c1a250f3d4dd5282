import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Event } from "@soldier/events/event";
import { newId } from "@soldier/kernel/ids";
import { AuditEventSchema } from "@soldier/proto/audit/v1/audit_service";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Placed } from "../domain/page.ts";
import type { AuditStore, EventFilter, RecordFilter, Slice } from "./audit-store.ts";

/** What every AuditStore must do. */
export function auditStoreContract(open: () => Promise<{ store: AuditStore } & AsyncDisposable>) {
  let under: { store: AuditStore } & AsyncDisposable;
  let store: AuditStore;
  beforeAll(async () => {
    under = await open();
    store = under.store;
  });
  afterAll(() => under[Symbol.asyncDispose]());

  async function addRecord(tenantId: string, over: object = {}, at = noon) {
    const turnId = newId();
    // create() would leave out what it does not know.
    const made = create(TurnRecordSchema, { ...plain, turnId, tenantId });
    const record = Object.assign(made, over);
    const event = eventOf(tenantId, "turn.committed");
    await store.addTurnRecord(event, record, at, noon);
    return { event, record, turnId };
  }
  async function addEvent(tenantId: string, over: object = {}, at = noon) {
    const made = create(AuditEventSchema, {
      id: newId(),
      actor: "olga",
      action: "session.closed",
      resourceKind: "session",
      resourceId: "s-1",
      occurredAt: timestampFromDate(at),
    });
    const audited = Object.assign(made, over);
    const event = eventOf(tenantId, "audit.event");
    await store.addAuditEvent(event, audited, noon);
    return { event, audited };
  }

  describe("turn records", () => {
    it("are found by their turn, and only in their tenant", async () => {
      const tenantId = newId();
      const { record, turnId } = await addRecord(tenantId);
      expect(await store.turnRecord(tenantId, turnId)).toEqual(record);
      expect(await store.turnRecord(newId(), turnId)).toBeUndefined();
      expect(await store.turnRecord(tenantId, newId())).toBeUndefined();
      expect(await store.turnRecords(newId(), anyRecord, { rowsMax: 9 })).toEqual([]);
    });

    it("belong to the tenant of their event, whatever they say", async () => {
      const tenantId = newId();
      const { turnId } = await addRecord(tenantId, { tenantId: "someone else" });
      expect((await store.turnRecord(tenantId, turnId))?.tenantId).toBe(tenantId);
      expect(await store.turnRecord("someone else", turnId)).toBeUndefined();
    });

    it("are kept once for any number of deliveries, also at the same time", async () => {
      const tenantId = newId();
      const record = create(TurnRecordSchema, { ...plain, turnId: newId(), tenantId });
      const event = eventOf(tenantId, "turn.committed");
      const all = await Promise.all(
        Array.from({ length: 8 }, () => store.addTurnRecord(event, record, noon, noon)),
      );
      expect(all.filter(Boolean)).toHaveLength(1);
      expect(await store.turnRecords(tenantId, anyRecord, { rowsMax: 9 })).toHaveLength(1);
    });

    it("stay as they were first recorded, even under another event", async () => {
      const tenantId = newId();
      const { record, turnId } = await addRecord(tenantId, { replyText: "as it was" });
      const other = create(TurnRecordSchema, { ...record, replyText: "changed" });
      await store.addTurnRecord(eventOf(tenantId, "turn.committed"), other, noon, noon);
      expect((await store.turnRecord(tenantId, turnId))?.replyText).toBe("as it was");
    });

    it("are all kept, and numbered without a gap, however many write at once", async () => {
      const tenantId = newId();
      const added = await Promise.all(Array.from({ length: 20 }, () => addRecord(tenantId)));
      const found = await store.turnRecords(tenantId, anyRecord, { rowsMax: 30 });
      expect(found.map(({ item }) => item.turnId).toSorted()).toEqual(
        added.map(({ turnId }) => turnId).toSorted(),
      );
      const links = await store.links(tenantId, 0n, 30);
      expect(links.map(({ seq }) => Number(seq))).toEqual(added.map((_, i) => i + 1));
      expect((await store.chainEnd(tenantId))?.seq).toBe(20n);
      expect(await store.chainPart(tenantId, {})).toEqual({ first: 1n, last: 20n });
    });

    it("are kept, though one that comes at the same moment cannot be", async () => {
      const tenantId = newId();
      const adding = Array.from({ length: 6 }, (_, at) =>
        addRecord(tenantId, at === 2 ? { turnId: "no id" } : {}),
      );
      const added = await Promise.allSettled(adding);
      expect(added.map(({ status }) => status)).toEqual(
        added.map((_, at) => (at === 2 ? "rejected" : "fulfilled")),
      );
      expect(await store.turnRecords(tenantId, anyRecord, { rowsMax: 9 })).toHaveLength(5);
      expect((await store.chainEnd(tenantId))?.seq).toBe(5n);
    });

    it("are copies: whoever changes what was read changes nothing that is kept", async () => {
      const tenantId = newId();
      const { record, turnId } = await addRecord(tenantId, { userText: "hello" });
      const read = await store.turnRecord(tenantId, turnId);
      if (read) Object.assign(read, { userText: "changed", sessionId: "changed" });
      record.replyText = "changed";
      expect(await store.turnRecord(tenantId, turnId)).toMatchObject({
        userText: "hello",
        replyText: "",
        sessionId: "s-0",
      });
    });

    it("keep what a newer release has put into them, as it is", async () => {
      const tenantId = newId();
      const newer = fromBinary(
        TurnRecordSchema,
        Buffer.concat([
          toBinary(
            TurnRecordSchema,
            // A number that no outcome has yet, in the part that is encrypted.
            create(TurnRecordSchema, { toolCalls: [{ name: "find", outcome: 99 as 1 }] }),
          ),
          unknownField,
        ]),
      );
      const turnId = newId();
      await addRecord(tenantId, { toolCalls: newer.toolCalls, $unknown: newer.$unknown, turnId });
      const found = await store.turnRecord(tenantId, turnId);
      expect(found?.toolCalls).toMatchObject([{ name: "find", outcome: 99 }]);
      expect(found?.$unknown).toMatchObject([{ no: 32_767 }]);
    });

    it("lose what is personal when their customer is forgotten, also those that come later", async () => {
      const tenantId = newId();
      const before = await addRecord(tenantId, { userText: "hello", customerId: "c-9" });
      const other = await addRecord(tenantId, { userText: "hello" });
      expect(await store.forget(tenantId, "c-9")).toEqual({
        records: 1,
        destroyed: true,
        unreadableLetters: 0,
      });
      expect((await store.forget(tenantId, "c-9")).destroyed).toBe(false);
      expect((await store.forget(newId(), "c-0")).destroyed).toBe(false);
      const after = await addRecord(tenantId, { userText: "me again", customerId: "c-9" });
      for (const { turnId } of [before, after])
        expect(await store.turnRecord(tenantId, turnId)).toMatchObject({
          userText: "",
          personalErased: true,
        });
      expect((await store.turnRecord(tenantId, other.turnId))?.userText).toBe("hello");
    });

    it("are filtered by session, agent, customer and time", async () => {
      const tenantId = newId();
      const one = await addRecord(tenantId, { sessionId: "s-1", agentId: "a-1" });
      const two = await addRecord(tenantId, { customerId: "c-2", agentId: "a-2" }, minute(1));
      const found = async (over: Partial<RecordFilter>) => {
        const rows = await store.turnRecords(tenantId, { ...anyRecord, ...over }, { rowsMax: 9 });
        return rows.map(({ item }) => item.turnId);
      };
      expect(await found({})).toEqual([two.turnId, one.turnId]);
      expect(await found({ sessionId: "s-1" })).toEqual([one.turnId]);
      expect(await found({ agentId: "a-2" })).toEqual([two.turnId]);
      expect(await found({ customerId: "c-2" })).toEqual([two.turnId]);
      expect(await found({ from: minute(1) })).toEqual([two.turnId]);
      expect(await found({ to: minute(1) })).toEqual([one.turnId]);
    });

    it("are paged, the latest first, to the end, also within one instant", async () => {
      const tenantId = newId();
      for (const at of [0, 1, 1, 1, 2]) await addRecord(tenantId, {}, minute(at));
      const all = await store.turnRecords(tenantId, anyRecord, { rowsMax: 9 });
      const paged = await pages((slice) => store.turnRecords(tenantId, anyRecord, slice));
      expect(paged).toEqual(all);
      expect(all.map(({ place }) => place.at)).toEqual([2, 1, 1, 1, 0].map(minute));
    });
  });

  it("knows nothing of a tenant who was never there", async () => {
    const nobody = newId();
    expect(await store.turnRecords(nobody, anyRecord, { rowsMax: 9 })).toEqual([]);
    expect(await store.auditEvents(nobody, anyEvent, { rowsMax: 9 })).toEqual([]);
    expect(await store.chainPart(nobody, {})).toBeUndefined();
    expect(await store.chainEnd(nobody)).toBeUndefined();
    expect(await store.links(nobody, 0n, 9)).toEqual([]);
    expect(await store.unchained(nobody, {})).toBeUndefined();
  });

  describe("audit events", () => {
    it("are kept once for any number of deliveries", async () => {
      const tenantId = newId();
      const { event, audited } = await addEvent(tenantId);
      expect(await store.addAuditEvent(event, audited, noon)).toBe(false);
      const [found, ...more] = await store.auditEvents(tenantId, anyEvent, { rowsMax: 9 });
      expect(more).toEqual([]);
      expect(found?.item).toEqual({ ...audited, tenantId, recordedAt: timestampFromDate(noon) });
      expect(await store.auditEvents(newId(), anyEvent, { rowsMax: 9 })).toEqual([]);
    });

    it("get the id and the time of their event when they have none", async () => {
      const tenantId = newId();
      const { event } = await addEvent(tenantId, { id: "", occurredAt: undefined });
      const [found] = await store.auditEvents(tenantId, anyEvent, { rowsMax: 9 });
      expect(found?.item.id).toBe(event.id);
      expect(found?.place.at).toEqual(event.occurredAt);
    });

    it("keep what a newer release has put into them, and are copies", async () => {
      const tenantId = newId();
      const newer = fromBinary(AuditEventSchema, unknownField);
      const { audited } = await addEvent(tenantId, { $unknown: newer.$unknown });
      const read = async () =>
        (await store.auditEvents(tenantId, anyEvent, { rowsMax: 9 })).map(({ item }) => item);
      const [first] = await read();
      expect(first?.$unknown).toMatchObject([{ no: 32_767 }]);
      if (first) first.actor = "changed";
      audited.actor = "changed";
      expect(await read()).toMatchObject([{ actor: "olga" }]);
    });

    it("are filtered by thing, action and time", async () => {
      const tenantId = newId();
      const one = await addEvent(tenantId);
      const two = await addEvent(
        tenantId,
        { resourceKind: "agent", resourceId: "a-1", action: "agent.published" },
        minute(1),
      );
      const found = async (over: Partial<EventFilter>) => {
        const rows = await store.auditEvents(tenantId, { ...anyEvent, ...over }, { rowsMax: 9 });
        return rows.map(({ item }) => item.id);
      };
      expect(await found({})).toEqual([two.audited.id, one.audited.id]);
      expect(await found({ resourceKind: "session" })).toEqual([one.audited.id]);
      expect(await found({ resourceId: "a-1" })).toEqual([two.audited.id]);
      expect(await found({ action: "session.closed" })).toEqual([one.audited.id]);
      expect(await found({ from: minute(1) })).toEqual([two.audited.id]);
      expect(await found({ to: minute(1) })).toEqual([one.audited.id]);
    });

    it("are paged, the latest first, to the end", async () => {
      const tenantId = newId();
      for (const at of [0, 0, 1, 2, 2]) await addEvent(tenantId, {}, minute(at));
      const all = await store.auditEvents(tenantId, anyEvent, { rowsMax: 9 });
      const paged = await pages((slice) => store.auditEvents(tenantId, anyEvent, slice));
      expect(paged).toEqual(all);
      expect(all).toHaveLength(5);
    });
  });
}

/** Field 32767, three bytes: nobody knows it yet. */
const unknownField = Buffer.from([0xfa, 0xff, 0x0f, 3, 1, 2, 3]);

const noon = new Date("2026-11-20T12:00:00Z");
const minute = (n: number) => new Date(noon.getTime() + n * 60_000);

const plain = { sessionId: "s-0", agentId: "a-0", customerId: "c-0", turnNumber: 1 };
const anyRecord: RecordFilter = { sessionId: "", agentId: "", customerId: "" };
const anyEvent: EventFilter = { resourceKind: "", resourceId: "", action: "" };

function eventOf(tenantId: string, topic: string): Event {
  return { id: newId(), topic, tenantId, payload: Uint8Array.of(), occurredAt: minute(5) };
}

/** Everything, read two at a time. */
async function pages<T>(read: (slice: Slice) => Promise<readonly Placed<T>[]>) {
  const all: Placed<T>[] = [];
  for (;;) {
    const rows = await read({ rowsMax: 2, after: all.at(-1)?.place });
    if (rows.length === 0) return all;
    all.push(...rows);
  }
}
