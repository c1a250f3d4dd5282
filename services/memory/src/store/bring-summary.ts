import type { ISql } from "postgres";
import { searchableText } from "../domain/episode.ts";
import {
  type BroughtSummary,
  inputHash,
  type NewSummary,
  type SummaryInput,
} from "../domain/summary.ts";
import { columns, type EpisodeRow, episodeOf } from "./episode-rows.ts";

/** A summary that is asked for with inputs that are not there, or that something stands for. */
export interface NotBrought {
  readonly missing: readonly string[];
  readonly taken: readonly string[];
}

/** A brought summary with what follows from its inputs, or why it cannot be. The group is locked. */
export async function completed(
  tx: ISql,
  tenantId: string,
  brought: BroughtSummary,
): Promise<NewSummary | NotBrought> {
  const { groupId, text } = brought;
  const ids = [...new Set(brought.inputIds)];
  const there = await inputsOf(tx, tenantId, groupId, ids);
  const missing = ids.filter((id) => !there.has(id));
  const found = ids
    .flatMap((id) => there.get(id) ?? [])
    .toSorted((a, b) => a.from.getTime() - b.from.getTime() || (a.id < b.id ? -1 : 1));
  const taken = await tx<{ input: string }[]>`
    select coalesce(episode_id, input_summary_id) as input from summary_inputs
    where tenant_id = ${tenantId}
      and (episode_id = any(${ids}::uuid[]) or input_summary_id = any(${ids}::uuid[]))`;
  if (missing.length > 0 || taken.length > 0)
    return { missing, taken: taken.map(({ input }) => input) };
  return {
    tenantId,
    id: brought.id,
    groupId,
    level: 1 + Math.max(...found.map(({ level }) => level)),
    text,
    madeBy: "operator",
    inputIds: found.map(({ id }) => id),
    inputHash: inputHash(found),
    turns: found.reduce((sum, { turns }) => sum + turns, 0),
    coversFrom: new Date(Math.min(...found.map(({ from }) => from.getTime()))),
    coversTo: new Date(Math.max(...found.map(({ to }) => to.getTime()))),
  };
}

type LevelledInput = SummaryInput & { readonly level: number };

/** Episodes are of level 0. Of several episodes of one turn the first counts it. */
async function inputsOf(
  tx: ISql,
  tenantId: string,
  groupId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, LevelledInput>> {
  const episodes = await tx<EpisodeRow[]>`
    select ${columns(tx)} from episodes e
    where e.tenant_id = ${tenantId} and e.group_id = ${groupId} and e.id = any(${[...ids]}::uuid[])
    order by e.occurred_at, e.revision`;
  const summaries = await tx<
    { id: string; text: string; level: number; turns: number; covers_from: Date; covers_to: Date }[]
  >`
    select id, text, level, turns, covers_from, covers_to from summaries
    where tenant_id = ${tenantId} and group_id = ${groupId} and id = any(${[...ids]}::uuid[])`;
  const counted = new Set<string>();
  const said = episodes.map(episodeOf).map((episode): LevelledInput => {
    const { id, turnId, occurredAt } = episode;
    const turn = turnId || id;
    const turns = counted.has(turn) ? 0 : 1;
    counted.add(turn);
    return { id, level: 0, text: searchableText(episode), from: occurredAt, to: occurredAt, turns };
  });
  const made = summaries.map(({ id, text, level, turns, covers_from, covers_to }) => {
    return { id, level, text, from: covers_from, to: covers_to, turns };
  });
  return new Map([...said, ...made].map((input) => [input.id, input]));
}

/** Ids of the summary whose text this is, and whose inputs these are, if it is there. */
export async function sameSummary(
  tx: ISql,
  tenantId: string,
  { groupId, text, inputIds }: BroughtSummary,
): Promise<string | undefined> {
  const ids = [...new Set(inputIds)].toSorted();
  const [row] = await tx<{ id: string }[]>`
    select s.id from summaries s
    where s.tenant_id = ${tenantId} and s.group_id = ${groupId} and s.text = ${text}
      and s.id in (
        select summary_id from summary_inputs
        where tenant_id = ${tenantId}
          and (episode_id = any(${ids}::uuid[]) or input_summary_id = any(${ids}::uuid[])))
      and array(
        select coalesce(i.episode_id, i.input_summary_id) from summary_inputs i
        where i.tenant_id = ${tenantId} and i.summary_id = s.id order by 1) = ${ids}::uuid[]`;
  return row?.id;
}
