import type { ISql, Sql } from "postgres";
import { foldedName } from "../domain/canonical.ts";
import type { ClosingLimits } from "../domain/closings.ts";
import type { Entity } from "../domain/entity.ts";
import type { Resolution } from "../domain/resolution.ts";
import { addWithin, inOne, park, type Tried } from "./add-claims.ts";
import type { KeepResults, LeftBehind, Passed } from "./postgres-stages.ts";

/** Claims that the store refuses are tried again in an hour: only a change of the code helps. */
const refusedRetryMs = 3_600_000;

/** Keeps the claims of each episode by itself, with the entities that they name; or parks them. */
export function keepResolutions(limits: ClosingLimits): KeepResults<Resolution> {
  return async (sql, passed) => {
    const left: LeftBehind[] = [];
    for (const one of passed) {
      const reason = await keepOne(sql, one, limits);
      if (reason !== undefined) left.push({ ...one, reason, retryAfterMs: refusedRetryMs });
    }
    return left;
  };
}

/** Leaves the transaction: nobody waits for the episode any more. */
class Gone extends Error {}

/** Why it could not be kept; undefined when it was, or when nobody waits for it any more. */
async function keepOne(
  sql: Sql,
  one: Passed<Resolution>,
  limits: ClosingLimits,
): Promise<string | undefined> {
  const { tenantId, groupId } = one.episode;
  const { claims, undecided } = one.value;
  const batch = { tenantId, groupId, claims, limits };
  try {
    const tried = await inOne(sql, async (tx): Promise<Tried> => {
      const added =
        claims.length > 0 || undecided.length > 0 ? await addWithin(tx, batch) : nothing;
      if (added.kind !== "stored") return added;
      if (!(await finish(tx, one, undecided.length > 0))) throw new Gone();
      await insertNewEntities(tx, tenantId, one.value.entities);
      for (const alternative of undecided)
        await park(tx, { ...batch, claims: alternative }, 0, 0, "ambiguous");
      return added;
    });
    if (tried.kind === "stored") return undefined;
    if (tried.kind === "refused") return "CLAIM_INVALID";
    await sql.begin(async (tx) => {
      await tx`
        select from groups where tenant_id = ${tenantId} and group_id = ${groupId} for update`;
      if (!(await finish(tx, one, true))) return;
      await insertNewEntities(tx, tenantId, one.value.entities);
      await park(tx, batch, tried.ended, tried.held);
    });
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
  }
  return undefined;
}

const nothing: Tried = { kind: "stored", claims: [] };

/** Takes the episode out of the backlog, or parks it there. False when it is not there any more. */
async function finish(
  tx: ISql,
  { episode: { tenantId, id }, attempts }: Passed<Resolution>,
  parked: boolean,
): Promise<boolean> {
  const { count } = parked
    ? await tx`
        update backlog set parked = true, attempts = ${attempts + 1}, failed = ''
        where tenant_id = ${tenantId} and episode_id = ${id} and stage = 'resolved'`
    : await tx`
        delete from backlog
        where tenant_id = ${tenantId} and episode_id = ${id} and stage = 'resolved'`;
  if (count > 0)
    await tx`
      update extractions set resolved_attempts = ${attempts + 1}
      where tenant_id = ${tenantId} and episode_id = ${id}`;
  return count > 0;
}

/** Episodes whose parked claims have all been reviewed have passed. */
export async function releaseReviewed(
  sql: ISql,
  tenantId: string,
  episodeIds: readonly string[],
): Promise<void> {
  if (episodeIds.length === 0) return;
  await sql`
    delete from backlog b
    where b.tenant_id = ${tenantId} and b.stage = 'resolved' and b.parked
      and b.episode_id = any(${[...episodeIds]}::uuid[])
      and not exists (
        select from parked_claims p
        where p.tenant_id = b.tenant_id
          and p.claims @> jsonb_build_array(jsonb_build_object('episodeId', b.episode_id))
      )`;
}

/** Names that are there already stay as they are. */
async function insertNewEntities(
  sql: ISql,
  tenantId: string,
  entities: readonly Entity[],
): Promise<void> {
  for (const { id, groupId, type, name, aliases } of entities) {
    const all = [name, ...aliases];
    await sql`
      insert into entities (tenant_id, id, group_id, type, name, aliases, names, recorded_at)
      values (${tenantId}, ${id}, ${groupId}, ${type}, ${name}, ${[...aliases]}::text[],
        ${all.map(foldedName)}::text[], clock_timestamp())
      on conflict (tenant_id, id) do nothing`;
  }
}
