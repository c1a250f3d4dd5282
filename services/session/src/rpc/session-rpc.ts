import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Fault } from "@soldier/kernel/fault";
import { type Route, route } from "@soldier/chassis/service";
import {
  type ScenarioPosition,
  type Session,
  SessionStatus,
} from "@soldier/proto/session/v1/session";
import {
  type EraseSessionsRequest,
  type OverrideStepRequest,
  SessionService,
} from "@soldier/proto/session/v1/session_service";
import { type DamagedAt, pageOfRows } from "@soldier/storage/damaged-rows";
import { keyIn, pageSize, tokenOf } from "../domain/page.ts";
import { closed, deleted, overridden } from "../domain/session.ts";
import type { SessionScope, Stored } from "../store/session-store.ts";
import { sessionAudited, sessionClosed } from "./events.ts";
import * as refusals from "./refusals.ts";
import { type SessionParts, shown, viewerOf } from "./session-parts.ts";
import { toolCallRpc } from "./tool-call-rpc.ts";
import { turnRpc } from "./turn-rpc.ts";

const idShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const numberShape = /^[1-9][0-9]{0,8}$/;

export function sessionRpc(parts: SessionParts): Route {
  const { store, clock, idleAfterMs, committed } = parts;

  return route(SessionService, {
    ...turnRpc(parts),
    ...toolCallRpc(parts),

    async eraseSessions({ scope, until, dryRun }, ctx) {
      const { counts, pending } = await store.erase(viewerOf(ctx).tenantId, {
        scope: scopeOf(scope),
        until: until && timestampDate(until),
        dryRun,
      });
      const entries = Object.entries(counts).map(([kind, count]) => [kind, BigInt(count)] as const);
      return { erased: Object.fromEntries(entries), pending: BigInt(pending) };
    },

    async getSession({ sessionId }, ctx) {
      const stored = await store.get(viewerOf(ctx), sessionId);
      return { session: shown(parts, present(stored, sessionId)) };
    },

    async listSessions({ agentId, customerId, status, pageSize: asked, pageToken }, ctx) {
      const size = pageSize(asked);
      const idleBefore = new Date(clock.now().getTime() - idleAfterMs);
      const damaged: DamagedAt<string>[] = [];
      const rows = await store.list(
        viewerOf(ctx),
        { agentId, customerId, status, idleBefore },
        {
          rowsMax: size + 1,
          before: keyIn(pageToken, idShape),
          onDamaged: (one) => damaged.push(one),
        },
      );
      const { items, damagedRows, next } = pageOfRows(rows, damaged, size, (one) => one.session.id);
      const sessions = items.map((stored) => shown(parts, stored));
      return { sessions, damagedRows, nextPageToken: tokenOf(next) };
    },

    async listTurns({ sessionId, pageSize: asked, pageToken }, ctx) {
      const size = pageSize(asked);
      const key = keyIn(pageToken, numberShape);
      const damaged: DamagedAt<number>[] = [];
      const slice = {
        rowsMax: size + 1,
        before: key === undefined ? undefined : Number(key),
        onDamaged: (one: DamagedAt<number>) => damaged.push(one),
      };
      const rows = await store.turns(viewerOf(ctx), sessionId, slice);
      if (!rows) throw refusals.sessionNotFound(sessionId);
      const { items, damagedRows, next } = pageOfRows(rows, damaged, size, (turn) => turn.number);
      return { turns: items, damagedRows, nextPageToken: tokenOf(next) };
    },

    async closeSession({ sessionId }, ctx) {
      const viewer = viewerOf(ctx);
      const now = clock.now();
      const stored = await store.change(viewer, sessionId, (found) => {
        const session = closed(living(found), now);
        return session && { session, endsTurn: true, events: sessionClosed(viewer, session, now) };
      });
      committed();
      return { session: shown(parts, present(stored, sessionId)) };
    },

    async deleteSession({ sessionId }, ctx) {
      const viewer = viewerOf(ctx);
      const now = clock.now();
      const stored = await store.change(viewer, sessionId, (found) => {
        const session = deleted(found, now);
        if (!session) return undefined;
        const events = [sessionAudited(viewer, session, "session.deleted", {}, now)];
        return { session, endsTurn: true, events };
      });
      present(stored, sessionId);
      committed();
      return {};
    },

    async overrideStep(req, ctx) {
      const viewer = viewerOf(ctx);
      const now = clock.now();
      const stored = await store.change(viewer, req.sessionId, (found) => {
        const from = living(found);
        if (from.status === SessionStatus.CLOSED) throw refusals.sessionClosed();
        const session = overridden(from, placeIn(req, from), now);
        if (!session) return undefined;
        const details = {
          reason: req.reason,
          from: placeName(from.state?.position),
          to: placeName(req.position),
        };
        const events = [sessionAudited(viewer, session, "session.step_overridden", details, now)];
        return { session, endsTurn: false, events };
      });
      committed();
      return { session: shown(parts, present(stored, req.sessionId)) };
    },
  });
}

function present(stored: Stored | undefined, sessionId: string): Stored {
  if (!stored) throw refusals.sessionNotFound(sessionId);
  return stored;
}

function living(session: Session): Session {
  if (session.meta?.deletedAt) throw refusals.sessionNotFound(session.id);
  return session;
}

/** The place asked for; the version may be left out within the scenario that the session is in. */
function placeIn(req: OverrideStepRequest, session: Session): ScenarioPosition | undefined {
  const { position } = req;
  if (!position) return undefined;
  if (!position.scenarioId) throw refusals.fieldInvalid("position.scenario_id", "is missing");
  if (!position.stepId) throw refusals.fieldInvalid("position.step_id", "is missing");
  if (position.scenarioVersion !== 0n) return position;
  const now = session.state?.position;
  if (now?.scenarioId === position.scenarioId)
    return { ...position, scenarioVersion: now.scenarioVersion };
  throw refusals.fieldInvalid(
    "position.scenario_version",
    "is missing, and the session is not in that scenario",
  );
}

function placeName(position: ScenarioPosition | undefined): string {
  return position ? `${position.scenarioId}/${position.stepId}` : "";
}

function scopeOf(scope: EraseSessionsRequest["scope"]): SessionScope {
  switch (scope.case) {
    case "text":
      return { kind: "text", ...scope.value };
    case "sessionId":
      return { kind: "session", sessionId: scope.value };
    case "customerId":
      return { kind: "customer", customerId: scope.value };
    case "tenant":
      if (scope.value) return { kind: "tenant" };
      throw new Fault("invalid", "tenant must be true: all of its sessions are erased");
    case undefined:
      throw new Fault("invalid", "what to erase must be said");
  }
}
