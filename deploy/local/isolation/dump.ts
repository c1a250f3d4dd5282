import { createHash } from "node:crypto";
import type { Sql } from "postgres";

/** A table whose rows belong to tenants. */
export interface TenantTable {
  readonly schema: string;
  readonly name: string;
}

/** Every table of every schema that has a tenant_id; a table in parts counts once. */
export async function tenantTables(sql: Sql): Promise<readonly TenantTable[]> {
  return await sql<TenantTable[]>`
    select n.nspname as schema, c.relname as name
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    where a.attname = 'tenant_id' and not a.attisdropped and not c.relispartition
      and c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
    order by 1, 2`;
}

/** All rows of the tenant as PostgreSQL writes them, by table. */
export type Dump = ReadonlyMap<string, string>;

export async function dumpOf(
  sql: Sql,
  tables: readonly TenantTable[],
  tenantId: string,
): Promise<Dump> {
  const dump = new Map<string, string>();
  const all = tables.map(
    ({ schema, name }) => sql`
      select ${`${schema}.${name}`}::text as name, coalesce(string_agg(t::text, e'\n' order by t::text collate "C"), '') as rows
      from ${sql(schema)}.${sql(name)} t where tenant_id = ${tenantId}`,
  );
  const [first, ...rest] = all;
  if (!first) throw new Error("no table belongs to tenants");
  const union = rest.reduce((done, one) => sql`${done} union all ${one}`, first);
  const rows = await sql<{ name: string; rows: string }[]>`${union}`;
  for (const row of rows) dump.set(row.name, row.rows);
  return dump;
}

/** The tables in which two dumps differ, each with its first differing row. */
export function differences(before: Dump, after: Dump): string[] {
  return [...before.keys()].flatMap((table) => {
    const was = before.get(table) ?? "";
    const is = after.get(table) ?? "";
    if (was === is) return [];
    const old = new Set(was.split("\n"));
    const other = is.split("\n").find((row) => !old.has(row)) ?? "a row is gone";
    return [`${table}: ${other.slice(0, 200)}`];
  });
}

/** Short, for the report. */
export function fingerprint(dump: Dump): string {
  const hash = createHash("sha256");
  for (const [table, rows] of dump) hash.update(`${table}\n${rows}\n`);
  return hash.digest("hex").slice(0, 16);
}
