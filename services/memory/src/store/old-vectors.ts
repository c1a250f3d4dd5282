import type { Prunable } from "@soldier/storage/pruning";
import type { Sql } from "postgres";
import { Gauge } from "prom-client";

export interface OldVectorsOptions {
  /** Sees the rows of every tenant. */
  readonly sql: Sql;
  /** What searches use. */
  readonly model: string;
  /** What is got ready beside it, if anything is. */
  readonly nextModel: string | undefined;
  /** For so long after a model was last set its vectors stay, for the way back. */
  readonly keepDays: number;
  /** At most so often vectors are counted, which reads the table. Default an hour. */
  readonly countEveryMs?: number;
  readonly monotonicMs: () => number;
}

const remaining = new Gauge({
  name: "soldier_memory_old_vectors",
  help: "Vectors of embedding models that are not set any more, by model; pruned keep_old_vectors_days after it was",
  labelNames: ["table", "model"],
});

const tables = [
  { table: "embeddings", id: "episode_id" },
  { table: "summary_embeddings", id: "summary_id" },
] as const;

/** Rows that one statement looks at, at most, for some that may go. */
const readMax = 20_000;

/** Before all rows of a table. */
const beginning = { tenant_id: "", id: "00000000-0000-0000-0000-000000000000", model: "" };

/**
 * Vectors of models that no process has set for long. One goes only where there is another in its place, by
 * the model in force: what is switched to is complete there, and switching back before costs nothing.
 */
export function oldVectors(options: OldVectorsOptions): readonly Prunable[] {
  const { sql, model, nextModel, keepDays, countEveryMs = 3_600_000, monotonicMs } = options;
  const models = [model, ...(nextModel === undefined ? [] : [nextModel])];
  let countedAtMs = Number.NEGATIVE_INFINITY;
  /** Up to where each table has been looked through in this pass. */
  const places = new Map<string, typeof beginning>();

  return tables.map((one) => ({
    table: one.table,
    async prune(rowsMax) {
      await setNow();
      await count();
      const old = await modelsOver();
      return old.length === 0 ? 0 : await removed(one, old, rowsMax);
    },
  }));

  async function setNow(): Promise<void> {
    await sql`
      insert into embedding_models (model, last_at) select unnest(${models}::text[]), now()
      on conflict (model) do update set last_at = excluded.last_at`;
  }

  async function modelsOver(): Promise<readonly string[]> {
    const rows = await sql<{ model: string }[]>`
      select model from embedding_models
      where model <> all(${models}) and last_at < now() - make_interval(days => ${keepDays})`;
    return rows.map((row) => row.model);
  }

  /** In slices of the primary key: there is no index by model, and one would cost every write. */
  async function removed(
    { table, id }: (typeof tables)[number],
    old: readonly string[],
    rowsMax: number,
  ): Promise<number> {
    let rows = 0;
    while (rows < rowsMax) {
      const after = places.get(table) ?? beginning;
      const [slice] = await sql<
        { read: number; gone: number; tenant_id: string; id: string; model: string }[]
      >`
        with slice as materialized (
          select tenant_id, ${sql(id)} as id, model from ${sql(table)}
          where (tenant_id, ${sql(id)}, model) > (${after.tenant_id}, ${after.id}::uuid, ${after.model})
          order by tenant_id, ${sql(id)}, model limit ${readMax}
        ), gone as (
          delete from ${sql(table)} v using (
            select s.tenant_id, s.id, s.model from slice s
            where s.model = any(${[...old]}) and exists (
              select from ${sql(table)} c
              where c.tenant_id = s.tenant_id and c.${sql(id)} = s.id and c.model = ${model})
            limit ${rowsMax - rows}
          ) s
          where v.tenant_id = s.tenant_id and v.${sql(id)} = s.id and v.model = s.model
          returning 1
        )
        select (select count(*)::int from slice) as read, (select count(*)::int from gone) as gone,
          tenant_id, id, model
        from slice order by tenant_id desc, id desc, model desc limit 1`;
      rows += slice?.gone ?? 0;
      if (rows >= rowsMax) break; // there may be more in this slice
      if (!slice || slice.read < readMax) {
        places.delete(table);
        break;
      }
      places.set(table, slice);
    }
    return rows;
  }

  /** What is left of models that are not set; one of which nothing is left is forgotten. */
  async function count(): Promise<void> {
    const nowMs = monotonicMs();
    if (nowMs - countedAtMs < countEveryMs) return;
    countedAtMs = nowMs;
    const others = await sql<{ model: string }[]>`
      select model from embedding_models where model <> all(${models})`;
    remaining.reset();
    for (const { model: old } of others) {
      const counts = await Promise.all(
        tables.map(async ({ table }) => {
          const [row] = await sql<{ left: number }[]>`
            select count(*)::float8 as left from ${sql(table)} where model = ${old}`;
          remaining.set({ table, model: old }, row?.left ?? 0);
          return row?.left ?? 0;
        }),
      );
      if (counts.every((left) => left === 0))
        await sql`
          delete from embedding_models
          where model = ${old} and last_at < now() - make_interval(days => ${keepDays})`;
    }
  }
}
