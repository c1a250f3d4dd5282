import type { Sql } from "postgres";

/** MB of each table and of its indexes, by schema and name; those under a megabyte are left out. */
export type Sizes = Readonly<
  Record<string, { readonly table: number; readonly indexes: number; readonly rows: number }>
>;

export async function sizesOf(sql: Sql): Promise<Sizes> {
  const rows = await sql<{ name: string; table_mb: number; index_mb: number; rows: number }[]>`
    select schemaname || '.' || relname as name,
      pg_table_size(relid) / 1e6::float8 as table_mb, pg_indexes_size(relid) / 1e6::float8 as index_mb,
      n_live_tup::int as rows
    from pg_stat_user_tables
    where pg_total_relation_size(relid) > 1e6
    order by pg_total_relation_size(relid) desc`;
  return Object.fromEntries(
    rows.map(({ name, table_mb: table, index_mb: indexes, rows: count }) => [
      name,
      { table: round(table), indexes: round(indexes), rows: count },
    ]),
  );
}

export interface Growth {
  readonly name: string;
  /** Of table or indexes: what the second half of the turns added, for each MB of the first. */
  readonly ratio: number;
}

/** How tables and indexes grew; 1 is linear, less is what is kept for a time only. */
export function growthOf(steps: readonly Sizes[]): readonly Growth[] {
  const middle = steps[Math.floor((steps.length - 1) / 2)] ?? {};
  const last = steps.at(-1) ?? {};
  return Object.entries(last).flatMap(([name, end]) =>
    (["table", "indexes"] as const).flatMap((part) => {
      const half = middle[name]?.[part] ?? 0;
      // What is small grows by pages and says nothing.
      if (end[part] < 8) return [];
      return [{ name: `${name} (${part})`, ratio: round((end[part] - half) / Math.max(half, 1)) }];
    }),
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
