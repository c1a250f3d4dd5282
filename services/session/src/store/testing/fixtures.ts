import { create } from "@bufbuild/protobuf";
import { type Event, newEvent } from "@soldier/events/event";
import { turnCommittedTopic } from "@soldier/events/topics";
import { outboxMigrations } from "@soldier/events/outbox";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import {
  type Session,
  SessionStateSchema,
  SessionStatus,
  TurnSchema,
} from "@soldier/proto/session/v1/session";
import type {
  Beginning,
  Commit,
  GivenLease,
  Opening,
  SessionFilter,
  Viewer,
} from "../session-store.ts";

/** What the suites of the store have in common. */

export const migrations = [new URL("../../../migrations/", import.meta.url), outboxMigrations];

export const noon = new Date("2026-11-20T12:00:00Z");

export function someone(over: Partial<Viewer> = {}): Viewer {
  return { tenantId: `tenant-${newId()}`, subject: "ann", seesAll: false, ...over };
}

export const opening: Opening = {
  kind: "new",
  agentId: "desk",
  customerId: "customer-1",
  channel: Channel.WEBCHAT,
  metadata: { page: "/returns" },
};

export function beginning(over: Partial<Beginning> = {}): Beginning {
  return {
    target: opening,
    turnId: newId(),
    leaseMs: 60_000,
    supersede: false,
    text: "where is my parcel?",
    historyMax: 10,
    now: noon,
    ...over,
  };
}

export function inSession(sessionId: string, over: Partial<Beginning> = {}): Beginning {
  return beginning({ target: { kind: "existing", sessionId }, ...over });
}

/** Filters nothing out. */
export const anySession: SessionFilter = {
  agentId: "",
  customerId: "",
  status: SessionStatus.UNSPECIFIED,
  idleBefore: new Date(0),
};

/** A commit of the turn that was begun. */
export function commitOf(
  viewer: Viewer,
  session: Session,
  lease: GivenLease,
  over: Partial<Commit> = {},
): Commit {
  const turn = create(TurnSchema, {
    id: lease.turnId,
    sessionId: session.id,
    number: session.turnCount + 1,
    userText: "where is my parcel?",
    replyText: `answer of ${lease.turnId}`,
  });
  return {
    lease,
    expectedVersion: session.version,
    state: create(SessionStateSchema, { bundleVersion: 7n }),
    status: SessionStatus.ACTIVE,
    turn,
    event: turnCommittedEvent(viewer, turn),
    closing: () => [],
    usage: undefined,
    now: noon,
    ...over,
  };
}

function turnCommittedEvent({ tenantId }: Viewer, turn: Commit["turn"]): Event {
  return newEvent(turnCommittedTopic, tenantId, { turn }, noon);
}
