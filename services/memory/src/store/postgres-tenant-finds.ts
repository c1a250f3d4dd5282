import { tenantSql } from "@soldier/storage/tenant";
import { LRUCache } from "lru-cache";
import type { ISql, Sql } from "postgres";
import { columns, episodeOf, type EpisodeRow } from "./episode-rows.ts";
import type { TenantCandidates, TenantFinds, TenantQuestion } from "./tenant-finds.ts";
import { vectorOf } from "./vector-bytes.ts";

export interface TenantFindsOptions {
  /** Whose vectors are to have an index. */
  readonly embedders: readonly { readonly model: string; readonly dimensions: number }[];
  /** Candidates that a walk through the index keeps in sight: more find more and take longer. */
  readonly effort: number;
  readonly monotonicMs: () => number;
}

/** The migration after which everything is there. */
const lastMigration = "pgvector_0002_fill.sql";
/** Until then nobody asks again whether it has been applied. */
const lookEveryMs = 60_000;
/** Of those that are wanted by their vectors, so many are by their words. */
const wordsShare = 0.6;
/** Vectors that are compared one by one where the index is of no use. */
const comparedMax = 20_000;
/**
 * The index is walked by all tenants' vectors. One that has less than this share of them would be looked for
 * too long.
 */
const shareMin = 0.01;
/** How long what is known of a tenant as a whole is held to be true. */
const heldMs = 300_000;

export function postgresTenantFinds(pool: Sql, options: TenantFindsOptions): TenantFinds {
  const { embedders, effort, monotonicMs } = options;
  const shares = new LRUCache<string, number>({ max: 10_000, ttl: heldMs });
  const commons = new LRUCache<string, string>({ max: 1_000, ttl: heldMs });
  let isReady = false;
  let lookedMs = -Infinity;

  /** The part of all episodes that is the tenant's, about. */
  async function shareOf(sql: ISql, tenantId: string): Promise<number> {
    const held = shares.get(tenantId);
    if (held !== undefined) return held;
    const [row] = await sql<{ share: number }[]>`
      select coalesce((select sum(head) from groups where tenant_id = ${tenantId}), 0)::float8 / 2
        / greatest((select reltuples from pg_class where oid = 'episode_vectors'::regclass), 1) as share`;
    const share = row?.share ?? 0;
    shares.set(tenantId, share);
    return share;
  }

  /** Its common words, as the database tells and takes them. */
  async function commonOf(sql: ISql, tenantId: string): Promise<string> {
    const held = commons.get(tenantId);
    if (held !== undefined) return held;
    const [row] = await sql<{ common: string }[]>`select common_words(${tenantId})::text as common`;
    const common = row?.common ?? "{}";
    commons.set(tenantId, common);
    return common;
  }

  async function nearest(sql: ISql, tenantId: string, asked: TenantQuestion) {
    if (!asked.vector) return { ids: [], partial: false };
    const vector = [...asked.vector];
    const by = async (latest: number | null) => {
      const rows = await sql<{ id: string }[]>`
        select id from episodes_by_vector(
          ${tenantId}, ${asked.model}, ${vector}::real[], ${asked.happenedBy ?? null},
          ${asked.recordedBy ?? null}, ${asked.exceptSessionId}, ${asked.wanted}, ${effort}, ${latest}
        ) as id`;
      return rows.map(({ id }) => id);
    };
    if ((await shareOf(sql, tenantId)) >= shareMin) {
      const ids = await by(null);
      if (ids.length === asked.wanted) return { ids, partial: false };
    }
    // Fewer than are wanted: so few pass the filters that they are found quicker one by one.
    const ids = await by(comparedMax);
    return { ids, partial: ids.length === asked.wanted };
  }

  async function holding(sql: ISql, tenantId: string, asked: TenantQuestion) {
    if (asked.words.length === 0) return { episodes: [], having: [], every: 0 };
    const common = await commonOf(sql, tenantId);
    const [row] = await sql<{ found: WordsFound }[]>`
      select episodes_by_words(
        ${tenantId}, ${[...asked.words]}::text[], ${common}::text::jsonb, ${asked.happenedBy ?? null},
        ${asked.recordedBy ?? null}, ${asked.exceptSessionId}, ${Math.ceil(asked.wanted * wordsShare)}) as found`;
    return row?.found ?? { episodes: [], having: [], every: 0 };
  }

  return {
    async ready() {
      if (isReady || monotonicMs() - lookedMs < lookEveryMs) return isReady;
      lookedMs = monotonicMs();
      const [row] = await pool`select from schema_migrations where name = ${lastMigration}`;
      if (!row) return false;
      for (const { model, dimensions } of embedders)
        await pool`select index_vectors(${model}, ${dimensions})`;
      isReady = true;
      return true;
    },

    async candidates(tenantId, asked): Promise<TenantCandidates> {
      const sql = tenantSql(pool, tenantId);
      const [{ ids, partial }, words] = await Promise.all([
        nearest(sql, tenantId, asked),
        holding(sql, tenantId, asked),
      ]);
      return {
        episodeIds: [...new Set([...ids, ...words.episodes])],
        holders: words.having.map((count) => {
          if (count === null) return "unknown";
          return count < 0 ? "many" : count;
        }),
        episodesCount: words.every,
        partial,
      };
    },

    async withNeighbours(tenantId, model, episodeIds) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<(EpisodeRow & { vector: Buffer | null })[]>`
        with found as materialized (
          select e.id, e.group_id, e.session_id, e.revision
          from unnest(${[...episodeIds]}::uuid[]) as wanted (id)
          join episodes e on e.tenant_id = ${tenantId} and e.id = wanted.id
        ),
        shown as materialized (
          select id from found
          union
          select n.id from found f
          cross join lateral (
            (select id, session_id from episodes b
              where b.tenant_id = ${tenantId} and b.group_id = f.group_id and b.revision < f.revision
              order by b.revision desc limit 1)
            union all
            (select id, session_id from episodes a
              where a.tenant_id = ${tenantId} and a.group_id = f.group_id and a.revision > f.revision
              order by a.revision limit 1)
          ) as n
          where f.session_id <> '' and n.session_id = f.session_id
        )
        select ${columns(sql)}, x.vector
        from shown s
        join episodes e on e.tenant_id = ${tenantId} and e.id = s.id
        left join embeddings x
          on x.tenant_id = ${tenantId} and x.episode_id = s.id and x.model = ${model}
        order by e.group_id, e.revision`;
      return rows.map((row) => ({
        episode: episodeOf(row),
        vector: row.vector ? vectorOf(row.vector) : undefined,
      }));
    },
  };
}

interface WordsFound {
  readonly episodes: readonly string[];
  /** Null: not indexed; negative: too many to count. */
  readonly having: readonly (number | null)[];
  readonly every: number;
}
