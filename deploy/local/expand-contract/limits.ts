import type { Sql } from "postgres";

/** What a schema demands of those who write and read it, table by table. */
export interface Limits {
  readonly columns: ReadonlyMap<string, Column>;
  /** Whatever can refuse or hide a row, in the words of PostgreSQL: "table: rule". */
  readonly rules: ReadonlySet<string>;
  /** Whatever shows rows that row-level security would hide. */
  readonly permits: ReadonlySet<string>;
  readonly tables: ReadonlySet<string>;
}

interface Column {
  readonly type: string;
  readonly isNotNull: boolean;
  /** Whether an insert must name it. */
  readonly isRequired: boolean;
}

/** Of the tables of the schema, as the role meets them. */
export async function limitsOf(owner: Sql, schema: string, role: string): Promise<Limits> {
  const columns = await owner<(Column & { table: string; name: string })[]>`
    select c.relname as table, format('%I.%I', c.relname, a.attname) as name,
      format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as "isNotNull",
      a.attnotnull and not a.atthasdef and a.attidentity = '' as "isRequired"
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = ${schema}::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
      and not a.attisdropped`;
  const rules = await owner<{ rule: string }[]>`
    with own as (
      select oid, relname as name, relrowsecurity as secured from pg_class
      where relnamespace = ${schema}::regnamespace and relkind in ('r', 'p')
    )
    select own.name || ': ' || pg_get_constraintdef(k.oid) as rule
    from own join pg_constraint k on k.conrelid = own.oid where k.contype in ('c', 'f', 'p', 'u', 'x')
    union all
    select own.name || ': unique' || split_part(pg_get_indexdef(i.indexrelid), ' USING', 2)
    from own join pg_index i on i.indrelid = own.oid
    where i.indisunique and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
    union all
    select own.name || ': row-level security' from own where secured
    union all
    select format('%s: restricted for %s to %s %s', own.name, p.cmd, p.qual, p.with_check)
    from own join pg_policies p on p.schemaname = ${schema} and p.tablename = own.name
    where p.permissive = 'RESTRICTIVE' and p.roles && array['public', ${role}]::name[]
    union all
    select format('%s: %s running %s', own.name,
      regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER \\S+', 'trigger'), md5(f.prosrc))
    from own join pg_trigger t on t.tgrelid = own.oid join pg_proc f on f.oid = t.tgfoid
    where not t.tgisinternal`;
  const permits = await owner<{ permit: string }[]>`
    select format('%s: shown for %s: %s %s', tablename, cmd, qual, with_check) as permit
    from pg_policies
    where schemaname = ${schema} and permissive = 'PERMISSIVE'
      and roles && array['public', ${role}]::name[]`;
  return {
    columns: new Map(columns.map(({ name, ...column }) => [name, column])),
    rules: new Set(rules.map(({ rule }) => rule)),
    permits: new Set(permits.map(({ permit }) => permit)),
    tables: new Set(columns.map(({ table }) => table)),
  };
}

/** What those who got on with the earlier limits may stumble over in the later ones; empty: nothing. */
export function tightened(before: Limits, after: Limits): readonly string[] {
  const tableOf = (text: string) => text.slice(0, text.search(/[.:]/));
  const found: string[] = [];
  for (const [name, now] of after.columns) {
    const was = before.columns.get(name);
    if (!before.tables.has(tableOf(name))) continue;
    if (was && was.type !== now.type) found.push(`${name} was ${was.type} and is ${now.type}`);
    if (now.isRequired && !was?.isRequired) found.push(`${name} must be given`);
    else if (was && now.isNotNull && !was.isNotNull) found.push(`${name} may not be null`);
  }
  for (const rule of after.rules)
    if (before.tables.has(tableOf(rule)) && !before.rules.has(rule)) found.push(rule);
  for (const permit of before.permits)
    if (after.tables.has(tableOf(permit)) && !after.permits.has(permit))
      found.push(`${permit}: no longer`);
  return found;
}
