import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Identity } from "@soldier/chassis/identity";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import type { EventBus } from "@soldier/events/bus";
import { openBus } from "@soldier/events/open-bus";
import { newEvent } from "@soldier/events/event";
import { auditRecordedTopic, turnCommittedTopic } from "@soldier/events/topics";
import { testEvents } from "@soldier/events/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { type TurnCommitted, TurnCommittedSchema } from "@soldier/proto/events/v1/events";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { audit } from "../service.ts";

type Told = Partial<Pick<TurnCommitted, "customerId" | "record">>;

const noon = new Date("2026-11-20T12:00:00Z");
const minute = (n: number) => new Date(noon.getTime() + n * 60_000);

describeOn("the audit service", testDatabase(), (backend) => {
  const opened = new AsyncDisposableStack();
  let mesh: TestMesh;
  let bus: EventBus;

  beforeAll(async () => {
    const database = opened.use(await backend.open());
    const events = testEvents();
    const settings = { postgres: { ...database.settings }, events: { ...events } };
    mesh = opened.use(await runForTest([audit], { settings }));
    bus = await openBus({ settings: events, opened });
  });
  afterAll(() => opened.disposeAsync());

  const operator = (): Identity => testIdentity({ roles: ["operator"] });
  const as = (identity: Identity) => mesh.as(identity)(AuditService);

  /** Publishing in one process ends when the consumer has taken the event. */
  async function publishTurn(tenantId: string, over: Told = {}, at = noon) {
    const turnId = newId();
    const committed = create(TurnCommittedSchema, {
      tenantId,
      agentId: "desk",
      customerId: "c-1",
      turn: {
        id: turnId,
        sessionId: "s-1",
        number: 3,
        userText: "where is it?",
        replyText: "on its way",
        traceId: "trace-1",
        receivedAt: timestampFromDate(at),
      },
      ...over,
    });
    const event = newEvent(turnCommittedTopic, tenantId, committed, at);
    await bus.publish(event);
    return { turnId, event };
  }

  it("gives the record of a committed turn", async () => {
    const identity = operator();
    const record = create(TurnRecordSchema, {
      tenantId: "another",
      agentId: "another",
      durationMs: 12.5,
      steps: [{ name: "retrieve" }],
    });
    const { turnId } = await publishTurn(identity.tenantId, { record });
    const found = await as(identity).getTurnRecord({ turnId });
    expect(found.record).toMatchObject({
      tenantId: identity.tenantId,
      agentId: "desk",
      customerId: "c-1",
      sessionId: "s-1",
      turnNumber: 3,
      userText: "where is it?",
      replyText: "on its way",
      traceId: "trace-1",
      durationMs: 12.5,
      steps: [{ name: "retrieve" }],
    });
  });

  it("has a record of every turn, also of one that says nothing about itself", async () => {
    const identity = operator();
    const { turnId } = await publishTurn(identity.tenantId);
    const { record } = await as(identity).getTurnRecord({ turnId });
    expect(record).toMatchObject({ turnId, replyText: "on its way", steps: [] });
  });

  it("says that a record may be on its way", async () => {
    const fault = await faultOf(as(operator()).getTurnRecord({ turnId: newId() }));
    expect(fault).toMatchObject({ kind: "not-found", reason: "TURN_RECORD_NOT_FOUND" });
    expect(fault.message).toContain("moments after");
  });

  it("hides one tenant's records from another", async () => {
    const { turnId } = await publishTurn(operator().tenantId);
    const stranger = as(operator());
    expect((await faultOf(stranger.getTurnRecord({ turnId }))).kind).toBe("not-found");
    expect((await stranger.listTurnRecords({})).records).toEqual([]);
  });

  it("is only for operators", async () => {
    const user = as(testIdentity({ roles: ["chat"] }));
    const refused = await Promise.all(
      [
        user.getTurnRecord({ turnId: newId() }),
        user.listTurnRecords({}),
        user.listAuditEvents({}),
        user.verifyChain({}),
        user.forgetCustomer({ customerId: "c-1" }),
      ].map(faultOf),
    );
    for (const fault of refused) expect(fault.reason).toBe("ROLE_MISSING");
  });

  it("keeps one record of a turn that is told twice", async () => {
    const identity = operator();
    const { event } = await publishTurn(identity.tenantId);
    await bus.publish(event);
    await bus.publish({ ...event, id: newId() });
    expect((await as(identity).listTurnRecords({})).records).toHaveLength(1);
  });

  it("lists records by what is asked, a page at a time, the latest first", async () => {
    const identity = operator();
    const turns: string[] = [];
    for (const n of [0, 1, 2])
      turns.push((await publishTurn(identity.tenantId, {}, minute(n))).turnId);
    await publishTurn(identity.tenantId, { customerId: "c-2" }, minute(3));
    const asked = { customerId: "c-1", pageSize: 2 };
    const first = await as(identity).listTurnRecords(asked);
    expect(first.records.map(({ turnId }) => turnId)).toEqual([turns[2], turns[1]]);
    const pageToken = first.nextPageToken;
    const rest = await as(identity).listTurnRecords({ ...asked, pageToken });
    expect(rest.records.map(({ turnId }) => turnId)).toEqual([turns[0]]);
    expect(rest.nextPageToken).toBe("");
    const within = { from: timestampFromDate(minute(1)), to: timestampFromDate(minute(3)) };
    expect((await as(identity).listTurnRecords(within)).records).toHaveLength(2);
    const foreign = await faultOf(as(identity).listTurnRecords({ pageToken: "nonsense" }));
    expect(foreign).toMatchObject({ kind: "invalid", reason: "PAGE_TOKEN_INVALID" });
  });

  it("verifies, exports and forgets for an operator, and says in the chain who forgot", async () => {
    const identity = operator();
    const { turnId } = await publishTurn(identity.tenantId);
    const audits = as(identity);
    const first = await audits.verifyChain({});
    expect(first).toMatchObject({ intact: true, checked: 1n, brokenAt: "" });
    const customer = { customerId: "c-1" };
    const counted = await audits.forgetCustomer({ ...customer, dryRun: true });
    expect((await audits.getTurnRecord({ turnId })).record?.personalErased).toBe(false);
    expect(await audits.forgetCustomer(customer)).toEqual(counted);
    expect(counted).toMatchObject({ records: 1n, destroyed: true });
    const { record } = await audits.getTurnRecord({ turnId });
    expect(record).toMatchObject({ turnId, personalErased: true, userText: "" });
    expect(await audits.verifyChain({ knownEnd: first.end })).toMatchObject({
      intact: true,
      checked: 2n,
    });
    const told = [];
    for await (const { item } of audits.exportRecords({})) told.push(item);
    expect(told).toMatchObject([
      { case: "record", value: { turnId } },
      { case: "event", value: { action: "customer.forgotten", resourceId: "c-1" } },
    ]);
  });

  it("forgets every customer of a tenant, and of no other", async () => {
    const [identity, other] = [operator(), operator()];
    const { turnId } = await publishTurn(identity.tenantId);
    const kept = await publishTurn(other.tenantId);
    const counted = { records: 1n, keys: 1n };
    expect(await as(identity).forgetTenant({ dryRun: true })).toMatchObject(counted);
    expect(await as(identity).forgetTenant({})).toMatchObject(counted);
    expect(await as(identity).forgetTenant({})).toMatchObject({ records: 0n, keys: 0n });
    expect((await as(identity).getTurnRecord({ turnId })).record?.personalErased).toBe(true);
    const { record } = await as(other).getTurnRecord({ turnId: kept.turnId });
    expect(record?.personalErased).toBe(false);
  });

  it("keeps and lists what others have found worth auditing", async () => {
    const identity = operator();
    const event = {
      id: newId(),
      actor: "olga",
      action: "agent.published",
      resourceKind: "agent",
      resourceId: "a-1",
      occurredAt: timestampFromDate(noon),
      details: { version: 3 },
    };
    await bus.publish(newEvent(auditRecordedTopic, identity.tenantId, { event }, noon));
    const { events } = await as(identity).listAuditEvents({ resourceKind: "agent" });
    expect(events).toMatchObject([{ ...event, tenantId: identity.tenantId }]);
    expect(events[0]?.recordedAt).toBeDefined();
    expect((await as(identity).listAuditEvents({ action: "session.closed" })).events).toEqual([]);
  });
});

async function faultOf(call: Promise<unknown>): Promise<Fault> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}
