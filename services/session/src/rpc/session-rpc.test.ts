import { fromBinary } from "@bufbuild/protobuf";
import { manualClock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { AuditRecordedSchema, SessionClosedSchema } from "@soldier/proto/events/v1/events";
import { SessionStatus } from "@soldier/proto/session/v1/session";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { existing, faultOf, faultsOf, type SessionBench, sessionBench, user } from "./testing.ts";

const hour = 3_600_000;

describeOn("sessions", testDatabase(), (backend) => {
  const clock = manualClock(new Date("2026-11-20T12:00:00Z"));
  let bench: SessionBench;
  beforeAll(async () => {
    bench = await sessionBench(backend, clock);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  const topicsOf = async (tenantId: string) =>
    (await bench.told(tenantId)).map(({ topic }) => topic);

  describe("a session", () => {
    it("is seen by who opened it and by operators of its tenant", async () => {
      const ann = user({ subject: "ann" });
      const sessionId = await bench.idleSession(ann);
      const bob = { ...ann, subject: "bob" };
      const operator = { ...bob, roles: ["chat", "operator"] };
      const stranger = user({ subject: "ann", roles: ["chat", "operator"] });
      expect((await bench.as(ann).getSession({ sessionId })).session?.id).toBe(sessionId);
      expect((await bench.as(operator).getSession({ sessionId })).session?.id).toBe(sessionId);
      for (const caller of [bench.as(bob), bench.as(stranger)]) {
        const refused = await faultsOf([
          caller.getSession({ sessionId }),
          caller.listTurns({ sessionId }),
          caller.closeSession({ sessionId }),
          caller.deleteSession({ sessionId }),
          caller.beginTurn({ target: existing(sessionId), turnId: newId() }),
        ]);
        for (const fault of refused) expect(fault.reason).toBe("SESSION_NOT_FOUND");
      }
    });

    it("is idle when nothing was said for a while", async () => {
      const identity = user({ roles: ["chat", "operator"] });
      const caller = bench.as(identity);
      const sessionId = await bench.idleSession(identity);
      clock.advance(hour);
      expect((await caller.getSession({ sessionId })).session?.status).toBe(SessionStatus.IDLE);
      const idle = await caller.listSessions({ status: SessionStatus.IDLE });
      expect(idle.sessions.map(({ id }) => id)).toEqual([sessionId]);
      await bench.say(identity, sessionId, "still there?");
      expect((await caller.getSession({ sessionId })).session?.status).toBe(SessionStatus.ACTIVE);
      expect((await caller.listSessions({ status: SessionStatus.IDLE })).sessions).toEqual([]);
    });

    it("is closed once, and tells", async () => {
      const identity = user();
      const caller = bench.as(identity);
      const sessionId = await bench.idleSession(identity);
      const first = await caller.closeSession({ sessionId });
      expect(first.session).toMatchObject({ status: SessionStatus.CLOSED, version: 2n });
      expect(await caller.closeSession({ sessionId })).toEqual(first);
      expect(await topicsOf(identity.tenantId)).toEqual(["session.closed", "audit.event"]);
      const payloads = (await bench.told(identity.tenantId)).map(({ payload }) => payload);
      expect(fromBinary(SessionClosedSchema, payloads[0] ?? none).session).toMatchObject({
        id: sessionId,
        status: SessionStatus.CLOSED,
        version: 2n,
      });
      expect(fromBinary(AuditRecordedSchema, payloads[1] ?? none).event).toMatchObject({
        tenantId: identity.tenantId,
        actor: "tester",
        action: "session.closed",
        resourceKind: "session",
        resourceId: sessionId,
      });
    });

    it("is gone after its deletion, which may be repeated", async () => {
      const identity = user();
      const caller = bench.as(identity);
      const sessionId = await bench.idleSession(identity);
      await caller.deleteSession({ sessionId });
      await caller.deleteSession({ sessionId });
      expect((await faultOf(caller.getSession({ sessionId }))).reason).toBe("SESSION_NOT_FOUND");
      const closing = await faultOf(caller.closeSession({ sessionId }));
      expect(closing.reason).toBe("SESSION_NOT_FOUND");
      expect((await faultOf(caller.deleteSession({ sessionId: newId() }))).kind).toBe("not-found");
      expect(await topicsOf(identity.tenantId)).toEqual(["audit.event"]);
    });

    it("is put at a step by an operator, and the turn that ran meanwhile is refused", async () => {
      const identity = user({ roles: ["chat", "operator"] });
      const caller = bench.as(identity);
      const { sessionId, begun } = await bench.open(identity);
      const position = { scenarioId: "returns", scenarioVersion: 2n, stepId: "refund" };
      const put = await caller.overrideStep({ sessionId, position, reason: "customer called" });
      expect(put.session?.state?.position).toMatchObject({ stepId: "refund" });
      expect(put.session?.status).toBe(SessionStatus.PROCESSING);
      const again = await caller.overrideStep({ sessionId, position, reason: "customer called" });
      expect(again.session?.version).toBe(2n);
      const commit = { lease: begun.lease, expectedVersion: 1n, state: {}, turn: { number: 1 } };
      expect((await faultOf(caller.commitTurn(commit))).reason).toBe("VERSION_CONFLICT");
      const [event, ...more] = await bench.told(identity.tenantId);
      expect(more).toEqual([]);
      expect(fromBinary(AuditRecordedSchema, event?.payload ?? none).event).toMatchObject({
        action: "session.step_overridden",
        details: { reason: "customer called", from: "", to: "returns/refund" },
      });
      const elsewhere = { scenarioId: "other", stepId: "start" };
      const vague = await faultOf(
        caller.overrideStep({ sessionId, position: elsewhere, reason: "why not" }),
      );
      expect(vague.fields[0]?.field).toBe("position.scenario_version");
    });

    it("is only for operators to list and to override", async () => {
      const caller = bench.as(user());
      const refused = await faultsOf([
        caller.listSessions({}),
        caller.overrideStep({ sessionId: newId(), reason: "no" }),
      ]);
      for (const fault of refused)
        expect(fault).toMatchObject({ kind: "forbidden", reason: "ROLE_MISSING" });
    });
  });

  describe("lists", () => {
    it("are paged to the end, the latest first", async () => {
      const identity = user({ roles: ["chat", "operator"] });
      const caller = bench.as(identity);
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push(await bench.idleSession(identity));
      const [sessionId = ""] = ids;
      for (const text of ["one", "two", "three"]) await bench.say(identity, sessionId, text);

      const sessions: string[] = [];
      let pageToken = "";
      do {
        const page = await caller.listSessions({ pageSize: 2, pageToken });
        sessions.push(...page.sessions.map(({ id }) => id));
        pageToken = page.nextPageToken;
      } while (pageToken);
      expect(sessions).toEqual(ids.toReversed());

      const first = await caller.listTurns({ sessionId, pageSize: 2 });
      expect(first.turns.map(({ userText }) => userText)).toEqual(["three", "two"]);
      const rest = { sessionId, pageSize: 2, pageToken: first.nextPageToken };
      const last = await caller.listTurns(rest);
      expect(last.turns.map(({ userText }) => userText)).toEqual(["one"]);
      expect(last.nextPageToken).toBe("");
      const foreign = await faultOf(caller.listTurns({ sessionId, pageToken: "x" }));
      expect(foreign).toMatchObject({ kind: "invalid", reason: "PAGE_TOKEN_INVALID" });
    });

    it("give a turn its history", async () => {
      const identity = user();
      const sessionId = await bench.idleSession(identity);
      for (const text of ["one", "two", "three"]) await bench.say(identity, sessionId, text);
      const target = existing(sessionId);
      const begun = await bench.as(identity).beginTurn({
        target,
        turnId: newId(),
        historyTurnsMax: 2,
      });
      expect(begun.history.map(({ userText }) => userText)).toEqual(["two", "three"]);
    });
  });
});

const none = Uint8Array.of();
