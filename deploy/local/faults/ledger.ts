import { fromBinary } from "@bufbuild/protobuf";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { TurnSchema } from "@soldier/proto/session/v1/session";
import type { Sql } from "postgres";
import type { Asked } from "./load.ts";

export interface Finding {
  readonly what: "lost" | "duplicated" | "wrong";
  readonly text: string;
  /** Of the message that it is about, where it is about one. */
  readonly key?: string | undefined;
}

export interface Verdict {
  readonly turns: number;
  readonly records: number;
  readonly episodes: number;
  readonly findings: readonly Finding[];
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
  const findings: Finding[] = [];
  const found = (what: Finding["what"], text: string, key?: string) =>
    void findings.push({ what, text, key });

  const turnsById = new Map(turns.map((row) => [row.id, row]));
  for (const { answer, key, tenant, ref } of asked) {
    if (!answer) continue;
    const row = turnsById.get(answer.turnId);
    if (!row) found("lost", `turn ${answer.turnId} was answered and is not in session`, key);
    else if (row.tenant_id !== tenant)
      found("wrong", `turn ${answer.turnId} of ${tenant} is ${row.tenant_id}'s`, key);
    else if (row.turn.idempotencyKey !== key)
      found("wrong", `turn ${answer.turnId} is the answer to another message`, key);
    if (ref && answer.reply.includes(ref) && !tickets.get(ref))
      found("lost", `ticket ${ref} was confirmed and never opened`, key);
  }
  for (const [key, rows] of Map.groupBy(turns, ({ turn }) => turn.idempotencyKey))
    if (rows.length > 1) found("duplicated", `key ${key} has ${rows.length} turns`, key);
  for (const [sessionId, rows] of Map.groupBy(turns, ({ session_id }) => session_id)) {
    const numbers = rows.map(({ turn }) => turn.number).toSorted((a, b) => a - b);
    if (numbers.some((number, i) => number !== i + 1))
      found("wrong", `session ${sessionId} has the numbers ${numbers.join(" ")}`);
  }
  const keyByRef = new Map(asked.map(({ ref, key }) => [ref, key]));
  for (const [ref, count] of tickets)
    if (count > 1)
      found("duplicated", `ticket ${ref} was opened ${count} times`, keyByRef.get(ref));

  const records = Map.groupBy(recordRows, ({ turn_id }) => turn_id);
  const episodes = Map.groupBy(episodeRows, ({ turn_id, role }) => `${turn_id} ${role}`);
  for (const { id, tenant_id, session_id, turn } of turns) {
    const key = turn.idempotencyKey;
    const kept = records.get(id) ?? [];
    if (kept.length === 0) found("lost", `turn ${id} has no audit record`, key);
    if (kept.length > 1) found("duplicated", `turn ${id} has ${kept.length} audit records`, key);
    for (const row of kept)
      if (
        row.tenant_id !== tenant_id ||
        fromBinary(TurnRecordSchema, row.record).sessionId !== session_id
      )
        found("wrong", `the record of turn ${id} is of another tenant or session`, key);
    for (const role of ["user", "agent"]) {
      const said = episodes.get(`${id} ${role}`) ?? [];
      if (said.length === 0) found("lost", `turn ${id} has no ${role} episode in memory`, key);
      if (said.length > 1)
        found("duplicated", `turn ${id} has ${said.length} ${role} episodes`, key);
      if (said.some((row) => row.tenant_id !== tenant_id))
        found("wrong", `an episode of turn ${id} is of another tenant`, key);
    }
  }
  for (const id of records.keys())
    if (!turnsById.has(id)) found("wrong", `a record of no turn: ${id}`);
  return {
    turns: turns.length,
    records: recordRows.length,
    episodes: episodeRows.length,
    findings,
  };
}
