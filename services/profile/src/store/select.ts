import type { ISql } from "postgres";

/** The columns of ProfileRow for customers c: all of a profile in one statement. */
export function profileColumns(sql: ISql, now: Date) {
  return sql`
    c.id, c.tenant_id, c.version::float8 as version, c.created_at, c.updated_at,
    (
      select coalesce(jsonb_agg(jsonb_build_object(
        'holding', to_jsonb(h), 'pending', ${pending(sql)}
      )), '[]')
      from fields f ${holding(sql)}
      where f.tenant_id = c.tenant_id and f.customer_id = c.id
        and (h.expires_at is null or h.expires_at > ${now})
    ) as fields,
    (
      select coalesce(jsonb_agg(to_jsonb(i) order by i.linked_at, i.channel, i.external_id), '[]')
      from identities i
      where i.tenant_id = c.tenant_id and i.customer_id = c.id and i.unlinked_at is null
    ) as identities,
    (
      select coalesce(jsonb_agg(to_jsonb(s) order by s.purpose), '[]')
      from (${consentsOf(sql, now)}) s
    ) as consents`;
}

/** Joins fields f with the claim h that holds. */
export function holding(sql: ISql) {
  return sql`
    join field_claims h on h.tenant_id = f.tenant_id and h.customer_id = f.customer_id
      and h.name = f.name and h.version = f.version`;
}

/** The claims pending against field f, the latest first, as JSON. */
export function pending(sql: ISql) {
  return sql`(
    select coalesce(jsonb_agg(to_jsonb(p) order by p.version desc), '[]')
    from field_claims p
    where p.tenant_id = f.tenant_id and p.customer_id = f.customer_id and p.name = f.name
      and p.version = any(f.pending)
  )`;
}

/** The word that counts on each purpose of customer c: the one in force for the shortest time. */
export function consentsOf(sql: ISql, now: Date) {
  return sql`
    select distinct on (k.purpose) k.*
    from consents k
    where k.tenant_id = c.tenant_id and k.customer_id = c.id and k.valid_from <= ${now}
    order by k.purpose, k.valid_from desc, k.version desc`;
}
