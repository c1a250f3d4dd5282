import { inboxMigrations } from "@soldier/events/inbox";
import { type Event, newEvent } from "@soldier/events/event";
import { auditRecordedTopic, turnCommittedTopic } from "@soldier/events/topics";
import { systemClock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { AuditStore } from "../store/audit-store.ts";
import { postgresCustomerKeys } from "../store/customer-keys.ts";
import { postgresAuditStore } from "../store/postgres.ts";
import { recordEvents } from "./record-events.ts";

const migrations = [new URL("../../migrations/", import.meta.url), inboxMigrations];
const noon = new Date("2026-11-20T12:00:00Z");

describeOn("recording events", testPostgres(migrations), (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let store: AuditStore;
  beforeAll(async () => {
    opened = await backend.open();
    store = postgresAuditStore(
      opened.sql,
      postgresCustomerKeys(opened.sql, undefined, systemClock),
    );
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const deliver = (event: Event) =>
    recordEvents(store, systemClock)(event, { attempt: 1, signal: new AbortController().signal });

  it("has one effect, when an event is delivered twice, also at once", async () => {
    const tenantId = newId();
    const turnId = newId();
    const committed = { tenantId, turn: { id: turnId, sessionId: "s-1", number: 1 } };
    const event = newEvent(turnCommittedTopic, tenantId, committed, noon);
    await Promise.all([deliver(event), deliver(event)]);
    await deliver(event);
    const filter = { sessionId: "s-1", agentId: "", customerId: "" };
    const records = await store.turnRecords(tenantId, filter, { rowsMax: 9 });
    expect(records.map(({ item }) => item.turnId)).toEqual([turnId]);
  });

  it("takes the time of the event when nobody knows when the message came", async () => {
    const tenantId = newId();
    const committed = { turn: { id: newId(), sessionId: "s-2" } };
    await deliver(newEvent(turnCommittedTopic, tenantId, committed, noon));
    const filter = { sessionId: "s-2", agentId: "", customerId: "" };
    const [record] = await store.turnRecords(tenantId, filter, { rowsMax: 9 });
    expect(record?.place.at).toEqual(noon);
  });

  it("rejects what it cannot read, so that the bus gives it up in the end", async () => {
    const whole = newEvent(turnCommittedTopic, newId(), {}, noon);
    for (const event of [
      { ...whole, payload: Uint8Array.of(255) },
      whole,
      newEvent(auditRecordedTopic, newId(), {}, noon),
    ])
      await expect(deliver(event)).rejects.toMatchObject({ reason: "EVENT_MALFORMED" });
  });
});
