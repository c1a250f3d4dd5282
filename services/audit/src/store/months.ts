import type { Sql } from "postgres";

const tables = ["turn_records", "audit_events"] as const;

/** The partitions that records are kept in. */
export interface Months {
  /** Makes those of this month and the next two. */
  add(now: Date): Promise<void>;
  /** Drops those that ended more than so many months before this one; returns their tables' names. */
  drop(now: Date, keepMonths: number): Promise<readonly string[]>;
}

export function postgresMonths(sql: Sql): Months {
  return {
    add: (now) => addMonths(sql, now),
    drop: (now, keepMonths) => dropMonths(sql, now, keepMonths),
  };
}

async function addMonths(sql: Sql, now: Date): Promise<void> {
  for (const table of tables)
    await sql`
      select add_month(${table}, ${now}::timestamptz + make_interval(months => ahead))
      from generate_series(0, 2) as ahead`;
}

async function dropMonths(sql: Sql, now: Date, keepMonths: number): Promise<readonly string[]> {
  return await sql.begin(async (tx) => {
    const [limit] = await tx<{ first: Date }[]>`
      select (date_trunc('month', ${now}::timestamptz at time zone 'UTC')
        - make_interval(months => ${keepMonths})) at time zone 'UTC' as first`;
    const first = limit?.first ?? new Date(0);
    const old = await tx<{ name: string }[]>`
      select child.relname as name
      from pg_inherits
      join pg_class child on child.oid = inhrelid
      join pg_class parent on parent.oid = inhparent
      where parent.relnamespace = current_schema()::regnamespace
        and parent.relname = any(${[...tables]})
        and child.relname ~ '_[0-9]{4}_[0-9]{2}$'
        and to_date(right(child.relname, 7), 'YYYY_MM') < ${first}::timestamptz at time zone 'UTC'
      order by child.relname`;
    if (old.length === 0) return [];
    for (const { name } of old) await tx`drop table ${tx(name)}`;
    await tx`
      insert into retention (dropped_before) values (${first})
      on conflict (only_row) do update
        set dropped_before = greatest(retention.dropped_before, excluded.dropped_before)`;
    return old.map(({ name }) => name);
  });
}
