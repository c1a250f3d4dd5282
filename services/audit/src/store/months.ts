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
  const dropped = await sql<{ name: string }[]>`
    select drop_months((date_trunc('month', ${now}::timestamptz at time zone 'UTC')
      - make_interval(months => ${keepMonths})) at time zone 'UTC') as name`;
  return dropped.map(({ name }) => name);
}
