import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { isId } from "@soldier/kernel/ids";
import { type Lease, SessionStatus, type Turn } from "@soldier/proto/session/v1/session";
import {
  BeginTurnResult,
  type BeginTurnRequest,
  type CommitTurnRequest,
  type SessionService,
} from "@soldier/proto/session/v1/session_service";
import { trimmed } from "../domain/session.ts";
import type {
  Beginning,
  GivenLease,
  HeldLease,
  Stored,
  StoredStatus,
  UsedToday,
} from "../store/session-store.ts";
import { sessionClosed as closedEvents, turnCommitted } from "./events.ts";
import * as refusals from "./refusals.ts";
import { type SessionParts, shown, viewerOf } from "./session-parts.ts";

/** When another look at a running turn may be worth it; most end long before their lease. */
const lookAgainMs = 100;

type TurnMethods = "beginTurn" | "renewLease" | "commitTurn" | "abortTurn";

/** The life of a turn, from its lease to its commit. */
export function turnRpc(
  parts: SessionParts,
): Pick<ServiceImpl<typeof SessionService>, TurnMethods> {
  const { store, clock, committed, leaseMs } = parts;
  const running = (stored: Stored, result: BeginTurnResult, remainingMs: number) => ({
    result,
    session: shown(parts, stored),
    retryAfterMs: BigInt(Math.min(remainingMs, lookAgainMs)),
  });

  return {
    async beginTurn(req, ctx) {
      const beginning = beginningOf(req, leaseMs, clock.now());
      const viewer = viewerOf(ctx);
      const [begun, usage] = await Promise.all([
        store.begin(viewer, beginning),
        req.readUsage ? store.usageToday(viewer.tenantId) : undefined,
      ]);
      switch (begun.kind) {
        case "begun":
          return {
            result: BeginTurnResult.BEGUN,
            session: shown(parts, begun.stored),
            history: [...begun.history],
            lease: leaseMessage(begun.lease),
            turnNumber: begun.stored.session.turnCount + 1,
            supersededTexts: [...begun.superseded],
            ...(usage && { usageToday: usage }),
          };
        case "answered":
          return {
            result: BeginTurnResult.ANSWERED,
            session: shown(parts, begun.stored),
            answered: begun.turn,
          };
        case "in-progress":
          return running(begun.stored, BeginTurnResult.IN_PROGRESS, begun.remainingMs);
        case "busy":
          return running(begun.stored, BeginTurnResult.BUSY, begun.remainingMs);
        case "absent":
          throw refusals.sessionNotFound(req.target.case === "sessionId" ? req.target.value : "");
        case "closed":
          throw refusals.sessionClosed();
        case "key-reused":
          throw refusals.keyReused();
        case "turn-id-reused":
          throw refusals.turnIdReused(req.turnId);
      }
    },

    async renewLease({ lease, leaseMs: forMs }, ctx) {
      const { tenantId } = viewerOf(ctx);
      const renewed = await store.renew(tenantId, held(lease), Number(forMs));
      if (!renewed) throw refusals.leaseLost();
      return { lease: leaseMessage(renewed) };
    },

    async commitTurn(req, ctx) {
      const viewer = viewerOf(ctx);
      const now = clock.now();
      const lease = held(req.lease);
      const turn = turnOf(req, lease, now);
      if (!req.state) throw refusals.fieldInvalid("state", "is missing");
      const result = await store.commit(viewer.tenantId, {
        lease,
        expectedVersion: req.expectedVersion,
        state: trimmed(req.state),
        status: statusAfter(req.status),
        turn,
        event: turnCommitted(viewer, turn, req, now),
        closing: (session) => closedEvents(viewer, session, now),
        usage: usageOf(req),
        now,
      });
      switch (result.kind) {
        case "committed":
          committed();
          return { version: result.version, turn: result.turn };
        case "absent":
          throw refusals.sessionNotFound(lease.sessionId);
        case "lease-lost":
          throw refusals.leaseLost();
        case "version-conflict":
          throw refusals.versionConflict(req.expectedVersion, result.version);
        case "wrong-number":
          throw refusals.fieldInvalid("turn.number", `the session's next is ${result.expected}`);
        case "turn-id-reused":
          throw refusals.turnIdReused(lease.turnId);
      }
    },

    async abortTurn(req, ctx) {
      await store.abort(viewerOf(ctx).tenantId, held(req.lease), usageOf(req));
      return {};
    },
  };
}

function beginningOf(req: BeginTurnRequest, leaseMsDefault: number, now: Date): Beginning {
  return {
    target: targetOf(req),
    turnId: req.turnId,
    ...(req.idempotencyKey && {
      key: { text: req.idempotencyKey, requestHash: req.requestHash },
    }),
    leaseMs: req.leaseMs === 0n ? leaseMsDefault : Number(req.leaseMs),
    supersede: req.supersede,
    text: req.text,
    historyMax: req.historyTurnsMax,
    now,
  };
}

function targetOf({ target }: BeginTurnRequest): Beginning["target"] {
  switch (target.case) {
    case "sessionId":
      return { kind: "existing", sessionId: target.value };
    case "newSession": {
      const { agentId, customerId, channel, metadata } = target.value;
      return { kind: "new", agentId, customerId, channel, metadata };
    }
    case undefined:
      throw refusals.fieldInvalid("target", "name a session or say what to open");
  }
}

/** The turn as it will be stored. */
function turnOf(req: CommitTurnRequest, lease: HeldLease, now: Date): Turn {
  if (!req.turn) throw refusals.fieldInvalid("turn", "is missing");
  if (req.turn.id && req.turn.id !== lease.turnId)
    throw refusals.fieldInvalid("turn.id", "is not the turn that holds the lease");
  const committedAt = timestampFromDate(now);
  return {
    ...req.turn,
    id: lease.turnId,
    sessionId: lease.sessionId,
    receivedAt: req.turn.receivedAt ?? committedAt,
    committedAt,
  };
}

function usageOf({ usage }: Pick<CommitTurnRequest, "usage">): UsedToday | undefined {
  if (usage && (usage.tokens < 0n || usage.costMicros < 0n))
    throw refusals.fieldInvalid("usage", "can't be less than nothing");
  return usage;
}

const storedStatuses: readonly StoredStatus[] = [
  SessionStatus.ACTIVE,
  SessionStatus.INTERRUPTED,
  SessionStatus.CLOSED,
];

function statusAfter(status: SessionStatus): StoredStatus {
  if (status === SessionStatus.UNSPECIFIED) return SessionStatus.ACTIVE;
  const stored = storedStatuses.find((one) => one === status);
  if (stored !== undefined) return stored;
  throw refusals.fieldInvalid("status", "a turn leaves a session active, interrupted or closed");
}

export function held(lease: Lease | undefined): HeldLease {
  if (!lease) throw refusals.fieldInvalid("lease", "is missing");
  for (const [field, id] of [
    ["session_id", lease.sessionId],
    ["turn_id", lease.turnId],
  ] as const)
    if (!isId(id)) throw refusals.fieldInvalid(`lease.${field}`, "is not an id");
  return { sessionId: lease.sessionId, turnId: lease.turnId, token: lease.fencingToken };
}

function leaseMessage({ sessionId, turnId, token, expiresAt, remainingMs }: GivenLease) {
  return {
    sessionId,
    turnId,
    fencingToken: token,
    expiresAt: timestampFromDate(expiresAt),
    remainingMs: BigInt(remainingMs),
  };
}
