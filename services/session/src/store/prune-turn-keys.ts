import type { Sql } from "postgres";

/**
 * Forgets up to `rowsMax` idempotency keys, of all tenants, whose last turn was begun longer ago than
 * that; returns how many. Such a key, sent again, is a new turn. Their turns stay.
 */
export async function pruneTurnKeys(sql: Sql, keepDays: number, rowsMax: number): Promise<number> {
  const gone = await sql`
    delete from turn_keys where ctid = any(array(
      select ctid from turn_keys
      where created_at < now() - make_interval(days => ${keepDays})
      limit ${rowsMax}
    ))`;
  return gone.count;
}
