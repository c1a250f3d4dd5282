import { fromBinary } from "@bufbuild/protobuf";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { TurnSchema } from "@soldier/proto/session/v1/session";
import type { Sql } from "postgres";
import type { Asked } from "./load.ts";

export interface Verdict {
  readonly asked: number;
  readonly answered: number;
  readonly turns: number;
  readonly records: number;
  readonly episodes: number;
  /** Each with what is wrong, at most a few of a kind. */
  readonly lost: readonly string[];
  readonly duplicated: readonly string[];
  readonly wrong: readonly string[];
  /** Messages that nobody answered in time: not lost, but not done either. */
  readonly unanswered: number;
}

/** Compares what clients were told with what each store holds, once all is quiet. */
export async function verdictOn(
  sql: Sql,
  asked: readonly Asked[],
  tickets: ReadonlyMap<string, number>,
): Promise<Verdict> {
  const turnRows = await sql<
    { tenant_id: string; session_id: string; id: string; turn: Uint8Array }[]
  >`
    select tenant_id, session_id, id, turn from session.turns`;
  const recordRows = await sql<{ tenant_id: string; turn_id: string; record: Uint8Array }[]>`
    select tenant_id, turn_id, record from audit.turn_records`;
  const episodeRows = await sql<{ tenant_id: string; turn_id: string; role: string }[]>`
    select tenant_id, turn_id, role from memory.episodes`;
  const turns = turnRows.map((row) => ({ ...row, turn: fromBinary(TurnSchema, row.turn) }));
  const lost: string[] = [];
  const duplicated: string[] = [];
  const wrong: string[] = [];

  const turnsById = new Map(turns.map((row) => [row.id, row]));
  for (const { answer, key, tenant, ref } of asked) {
    if (!answer) continue;
    const row = turnsById.get(answer.turnId);
    if (!row) lost.push(`turn ${answer.turnId} was answered and is not in session`);
    else if (row.tenant_id !== tenant)
      wrong.push(`turn ${answer.turnId} of ${tenant} is ${row.tenant_id}'s`);
    else if (row.turn.idempotencyKey !== key)
      wrong.push(`turn ${answer.turnId} is the answer to another message`);
    if (ref && answer.reply.includes(ref) && !tickets.get(ref))
      lost.push(`ticket ${ref} was confirmed and never opened`);
  }
  for (const [key, rows] of grouped(turns, ({ turn }) => turn.idempotencyKey))
    if (rows.length > 1) duplicated.push(`key ${key} has ${rows.length} turns`);
  for (const [sessionId, rows] of grouped(turns, ({ session_id }) => session_id)) {
    const numbers = rows.map(({ turn }) => turn.number).toSorted((a, b) => a - b);
    if (numbers.some((number, i) => number !== i + 1))
      wrong.push(`session ${sessionId} has the numbers ${numbers.join(" ")}`);
  }
  for (const [ref, count] of tickets)
    if (count > 1) duplicated.push(`ticket ${ref} was opened ${count} times`);

  const records = grouped(recordRows, ({ turn_id }) => turn_id);
  const episodes = grouped(episodeRows, ({ turn_id, role }) => `${turn_id} ${role}`);
  for (const { id, tenant_id, session_id } of turns) {
    const found = records.get(id) ?? [];
    if (found.length === 0) lost.push(`turn ${id} has no audit record`);
    if (found.length > 1) duplicated.push(`turn ${id} has ${found.length} audit records`);
    for (const row of found)
      if (
        row.tenant_id !== tenant_id ||
        fromBinary(TurnRecordSchema, row.record).sessionId !== session_id
      )
        wrong.push(`the record of turn ${id} is of another tenant or session`);
    for (const role of ["user", "agent"]) {
      const kept = episodes.get(`${id} ${role}`) ?? [];
      if (kept.length === 0) lost.push(`turn ${id} has no ${role} episode in memory`);
      if (kept.length > 1) duplicated.push(`turn ${id} has ${kept.length} ${role} episodes`);
      if (kept.some((row) => row.tenant_id !== tenant_id))
        wrong.push(`an episode of turn ${id} is of another tenant`);
    }
  }
  for (const id of records.keys()) if (!turnsById.has(id)) wrong.push(`a record of no turn: ${id}`);
  return {
    asked: asked.length,
    answered: asked.filter(({ answer }) => answer).length,
    turns: turns.length,
    records: recordRows.length,
    episodes: episodeRows.length,
    lost,
    duplicated,
    wrong,
    unanswered: asked.filter(({ answer }) => !answer).length,
  };
}

function grouped<T>(rows: readonly T[], by: (row: T) => string): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(rows, by);
}

/** Whether everything that was committed has been published, and everything published been taken. */
export async function isQuiet(sql: Sql): Promise<{ quiet: boolean; waiting: string }> {
  const [row] = await sql<
    { unpublished: number; turns: number; records: number; remembered: number }[]
  >`
    select
      (select count(*)::int from session.outbox where published_at is null) as unpublished,
      (select count(*)::int from session.turns) as turns,
      (select count(distinct turn_id)::int from audit.turn_records) as records,
      (select count(distinct turn_id)::int from memory.episodes) as remembered`;
  if (!row) throw new Error("a query without a row");
  const { unpublished, turns, records, remembered } = row;
  return {
    quiet: unpublished === 0 && records >= turns && remembered >= turns,
    waiting: `${unpublished} events not published, ${turns} turns, ${records} records, ${remembered} remembered`,
  };
}
