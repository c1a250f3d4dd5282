import { type Event, readableOf } from "@soldier/events/event";
import { eraseFromOutbox } from "@soldier/events/outbox-rows";
import { sessionClosedTopic, turnCommittedTopic } from "@soldier/events/topics";
import type { ISql, Sql } from "postgres";
import { turnBytes, turnFrom } from "./rows.ts";
import type { SessionErased, SessionErasure } from "./session-store.ts";

/** Leaves a transaction so that nothing of it stays but what was counted. */
class Counted extends Error {
  readonly erased: SessionErased;
  constructor(erased: SessionErased) {
    super("this was only to count");
    this.erased = erased;
  }
}

/** See SessionStore.erase. */
export async function eraseSessions(
  sql: Sql,
  tenantId: string,
  erasure: SessionErasure,
): Promise<SessionErased> {
  try {
    return await sql.begin(async (tx) => {
      const rows =
        erasure.scope.kind === "text"
          ? await eraseText(tx, tenantId, erasure.scope)
          : await eraseWhole(tx, tenantId, erasure);
      const events = await eraseEvents(tx, tenantId, erasure);
      const counts = { ...rows.counts, outbox_events: events.erased };
      const erased = { counts, pending: events.pending, sessionIds: rows.sessionIds };
      if (erasure.dryRun) throw new Counted(erased);
      return erased;
    });
  } catch (error) {
    if (error instanceof Counted) return error.erased;
    throw error;
  }
}

type Rows = Pick<SessionErased, "counts" | "sessionIds">;

/** The turn stays, without what that side said. */
async function eraseText(
  tx: ISql,
  tenantId: string,
  { turnId, reply }: { readonly turnId: string; readonly reply: boolean },
): Promise<Rows> {
  const [row] = await tx<{ turn: Uint8Array; session_id: string }[]>`
    select turn, session_id from turns where tenant_id = ${tenantId} and id = ${turnId} for update`;
  const turn = row && turnFrom(row.turn, row.session_id);
  if (!row || !turn || (reply ? turn.replyText : turn.userText) === "")
    return { counts: {}, sessionIds: [] };
  const left = reply ? { ...turn, replyText: "" } : { ...turn, userText: "" };
  await tx`
    update turns set turn = ${turnBytes(left)}
    where tenant_id = ${tenantId} and id = ${turnId}`;
  // A cache that holds the session as of before knows by this time that it is another.
  await tx`
    update sessions set updated_at = greatest(updated_at + interval '1 millisecond', clock_timestamp())
    where tenant_id = ${tenantId} and id = ${row.session_id}`;
  return { counts: { texts: 1 }, sessionIds: [row.session_id] };
}

async function eraseWhole(
  tx: ISql,
  tenantId: string,
  { scope, until }: SessionErasure,
): Promise<Rows> {
  const sessions = await tx<{ id: string }[]>`
    delete from sessions
    where tenant_id = ${tenantId} ${until ? tx`and created_at <= ${until}` : tx``}
      ${scope.kind === "session" ? tx`and id = ${scope.sessionId}` : tx``}
      ${scope.kind === "customer" ? tx`and customer_id = ${scope.customerId}` : tx``}
    returning id`;
  const ids = sessions.map(({ id }) => id);
  const of = tx`tenant_id = ${tenantId} and session_id = any(${ids}::uuid[])`;
  const turns = await tx`delete from turns where ${of}`;
  const calls = await tx`delete from tool_calls where ${of}`;
  await tx`delete from turn_keys where ${of}`;
  await tx`delete from given_up where ${of}`;
  const counts = { sessions: ids.length, turns: turns.count, tool_calls: calls.count };
  return { counts, sessionIds: ids };
}

async function eraseEvents(tx: ISql, tenantId: string, erasure: SessionErasure) {
  let [erased, pending] = [0, 0];
  for (const topic of [turnCommittedTopic.name, sessionClosedTopic.name]) {
    const matches = (event: Event) => isOf(erasure, event);
    const done = await eraseFromOutbox(tx, { topic, tenantId, matches });
    erased += done.erased;
    pending += done.pending;
  }
  return { erased, pending };
}

function isOf({ scope, until }: SessionErasure, event: Event): boolean {
  if (until && event.occurredAt > until) return false;
  if (scope.kind === "tenant") return true;
  if (event.topic === turnCommittedTopic.name) {
    const committed = readableOf(turnCommittedTopic, event);
    if (!committed) return true; // it may be theirs, and nobody can do anything with it
    const { turn, customerId } = committed;
    if (scope.kind === "text") return turn.id === scope.turnId;
    return scope.kind === "session"
      ? turn.sessionId === scope.sessionId
      : customerId === scope.customerId;
  }
  const closed = readableOf(sessionClosedTopic, event);
  if (!closed) return true;
  const { session } = closed;
  if (scope.kind === "text") return false;
  return scope.kind === "session"
    ? session.id === scope.sessionId
    : session.customerId === scope.customerId;
}
