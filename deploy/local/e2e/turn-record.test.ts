import { audit } from "@soldier/audit/service";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import type { EventsSettings } from "@soldier/events/events-settings";
import { removeStreams, testEvents } from "@soldier/events/testing";
import { newId } from "@soldier/kernel/ids";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { session } from "@soldier/session/service";
import { type Backend, describeOn, testDatabase, testNats } from "@soldier/storage/testing";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** From the commit over outbox and bus to the record: what holds session and audit together. */
describeOn("a committed turn", testDatabase(), (backend) => {
  const opened = new AsyncDisposableStack();
  let sql: Sql;
  let postgresTable: object;
  beforeAll(async () => {
    const database = opened.use(await backend.open());
    postgresTable = { ...database.settings };
    sql = postgres(database.url, { max: 1 });
    opened.defer(() => sql.end());
  });
  afterAll(() => opened.disposeAsync());

  const start = (events: EventsSettings) =>
    runForTest([session, audit], { settings: { postgres: postgresTable, events: { ...events } } });

  describe("over the bus in one process", () => {
    recordedOnce(async () => testEvents());
  });
  describeOn("over the bus", testNats(), (nats: Backend<{ readonly url: string }>) => {
    recordedOnce(async () => {
      const { url } = opened.use(await nats.open());
      const events = testEvents(url);
      opened.defer(() => removeStreams(events));
      return events;
    });
  });

  function recordedOnce(freshBus: () => Promise<EventsSettings>): void {
    it("has one record, also when its event is delivered again", async () => {
      const identity = testIdentity();
      const { tenantId } = identity;
      const turns: string[] = [];
      {
        await using mesh = await start(await freshBus());
        turns.push(await oneTurn(mesh, identity));
        await recorded(mesh, identity, turns[0] ?? "");
      }
      // As if the relay had died before it could mark the row, and the broker had lost its streams.
      const unmarked = await sql`
        update session.outbox set published_at = null, next_attempt_at = now()
        where tenant_id = ${tenantId}`;
      expect(unmarked.count).toBe(1);
      await using mesh = await start(await freshBus());
      await expect.poll(() => unpublished(sql, tenantId), { timeout: 10_000 }).toBe(0);
      turns.push(await oneTurn(mesh, identity));
      await recorded(mesh, identity, turns[1] ?? "");
      const { records } = await mesh.as(identity)(AuditService).listTurnRecords({});
      expect(records.map(({ turnId }) => turnId)).toEqual(turns.toReversed());
      expect(records[0]).toMatchObject({ tenantId, agentId: "desk", durationMs: 7.5 });
    });

    it("is one trace with its record", async () => {
      const identity = testIdentity();
      await using mesh = await start(await freshBus());
      await recorded(mesh, identity, await oneTurn(mesh, identity));
      const [row] = await sql<{ traceparent: string }[]>`
        select traceparent from session.outbox where tenant_id = ${identity.tenantId}`;
      const traceId = row?.traceparent.split("-")[1];
      const spans = mesh.spans().filter((span) => span.spanContext().traceId === traceId);
      expect(spans.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["session-store commit", "audit-store addTurnRecord"]),
      );
    });
  }
});

async function oneTurn(mesh: TestMesh, identity: ReturnType<typeof testIdentity>) {
  const caller = mesh.as(identity)(SessionService);
  const value = { agentId: "desk", customerId: "c-1" };
  const turnId = newId();
  const begun = await caller.beginTurn({ target: { case: "newSession", value }, turnId });
  await caller.commitTurn({
    lease: begun.lease,
    expectedVersion: begun.session?.version ?? 0n,
    state: {},
    turn: { number: begun.turnNumber, userText: "hello", replyText: "hi" },
    record: { durationMs: 7.5 },
  });
  return turnId;
}

/** Waits for the record, which arrives moments after the turn. */
async function recorded(mesh: TestMesh, identity: ReturnType<typeof testIdentity>, turnId: string) {
  const caller = mesh.as(identity)(AuditService);
  const found = () => caller.getTurnRecord({ turnId }).then(({ record }) => record?.turnId, reason);
  await expect.poll(found, { timeout: 10_000 }).toBe(turnId);
}

function reason(error: unknown): unknown {
  return error;
}

async function unpublished(sql: Sql, tenantId: string): Promise<number> {
  const rows = await sql`
    select from session.outbox where tenant_id = ${tenantId} and published_at is null`;
  return rows.length;
}
