import type { Fragment, ISql, Sql } from "postgres";

/** A point on both axes of time; undefined is now, and as it is known now. */
export interface Point {
  readonly valid: Date | undefined;
  readonly recorded: Date | undefined;
}

/**
 * The columns of ProfileRow for customers r, who stand for themselves and for their aliases: all of a
 * profile in one statement. Now is never before the last change: clocks of processes differ.
 */
export function profileColumns(
  sql: ISql,
  { valid, recorded }: Point,
  now: Date,
  aliases: Fragment = sql`r.alias_ids`,
): Fragment {
  const at = valid ? sql`${valid}::timestamptz` : sql`greatest(${now}, r.updated_at)`;
  const members = sql`any(r.id || ${aliases})`;
  return sql`
    r.id, r.tenant_id, ${aliases} as alias_ids, r.version::float8 as version, r.created_at, r.updated_at,
    r.rebuild, ${at} as at,
    (
      select coalesce(jsonb_agg(${spanJson(sql)}), '[]')
      from field_versions f ${ofClaim(sql)}
      where f.tenant_id = r.tenant_id and f.customer_id = r.id and ${believed(sql, recorded)}
        and f.valid @> ${at}
    ) as fields,
    (
      select coalesce(jsonb_agg(to_jsonb(i) order by i.linked_at, i.channel, i.external_id), '[]')
      from identities i
      where i.tenant_id = r.tenant_id and i.customer_id = ${members}
        and ${
          valid || recorded
            ? sql`i.valid @> ${at} and ${recorded ? sql`i.tx @> ${recorded}::timestamptz` : sql`upper_inf(i.tx)`}`
            : sql`i.unlinked_at is null and i.superseded_at is null`
        }
    ) as identities,
    (
      select coalesce(jsonb_agg(to_jsonb(k)), '[]') from consents k
      where k.tenant_id = r.tenant_id and k.customer_id = ${members}
        and ${recorded ? sql`k.recorded_at <= ${recorded}` : sql`true`}
    ) as consents,
    ${keysOf(sql, members)} as keys,
    ${mergesAmong(sql, members, aliases, recorded)} as merges`;
}

/** Versions f that are believed, now or as of then. */
export function believed(sql: ISql, recorded: Date | undefined): Fragment {
  return recorded ? sql`f.tx @> ${recorded}::timestamptz` : sql`upper_inf(f.tx)`;
}

/** Joins versions f with their claims h. */
export function ofClaim(sql: ISql): Fragment {
  return sql`join field_claims h on h.tenant_id = f.tenant_id and h.id = f.claim_id`;
}

/** A SpanRow of version f and its claim h. */
export function spanJson(sql: ISql): Fragment {
  return sql`jsonb_build_object(
    'claim', to_jsonb(h), 'disputed', f.disputed, 'valid_from', lower(f.valid),
    'valid_to', upper(f.valid)
  )`;
}

/** The data keys of customer r's members, as KeyRows. */
export function keysOf(sql: ISql, members: Fragment): Fragment {
  return sql`(
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', m.id, 'data_key', m.data_key, 'key_wrapped_by', m.key_wrapped_by
    )), '[]')
    from customers m
    where m.tenant_id = r.tenant_id and m.id = ${members} and m.data_key is not null
  )`;
}

/** The merges that make customer r's members one, as MergeRows. */
function mergesAmong(
  sql: ISql,
  members: Fragment,
  aliases: Fragment,
  recorded: Date | undefined,
): Fragment {
  return sql`case when ${aliases} = '{}' then '[]' else (
    select coalesce(jsonb_agg(to_jsonb(g)), '[]') from merges g
    where g.tenant_id = r.tenant_id and g.from_id = ${members} and ${inForce(sql, recorded)}
  ) end`;
}

/** Merges g that are in force, now or as it was known then. */
export function inForce(sql: ISql, recorded: Date | undefined): Fragment {
  return recorded
    ? sql`g.recorded_at <= ${recorded} and (g.undone_at is null or g.undone_at > ${recorded})`
    : sql`g.undone_at is null`;
}

/** Who stands for a customer at a recorded time: parts of a statement about customer r. */
export interface Standing {
  /** For FROM and WHERE. */
  readonly from: Fragment;
  /** Whom r stands for, without itself. */
  readonly aliases: Fragment;
}

/** As it is now: one statement tells it with all else. */
export function standingFor(sql: Sql, tenantId: string, customerId: string): Standing {
  return {
    from: sql`
      customers c join customers r on r.tenant_id = c.tenant_id and r.id = coalesce(c.root_id, c.id)
      where c.tenant_id = ${tenantId} and c.id = ${customerId} and r.erased_at is null`,
    aliases: sql`r.alias_ids`,
  };
}

/** As it was known then. */
export async function standingThen(
  sql: Sql,
  tenantId: string,
  customerId: string,
  recorded: Date,
): Promise<Standing> {
  const merges = await sql<{ from_id: string; into_id: string }[]>`
    with recursive met as (
      select ${customerId}::uuid as id
      union
      select case when g.from_id = met.id then g.into_id else g.from_id end
      from merges g join met on met.id in (g.from_id, g.into_id)
      where g.tenant_id = ${tenantId} and ${inForce(sql, recorded)}
    )
    select g.from_id, g.into_id from merges g
    where g.tenant_id = ${tenantId} and g.from_id in (select id from met)
      and ${inForce(sql, recorded)}`;
  // A tree: whoever was merged into nobody stands for all.
  const all = [...new Set([customerId, ...merges.flatMap((one) => [one.from_id, one.into_id])])];
  const aliases = merges.map(({ from_id }) => from_id).toSorted();
  const root = all.find((id) => !aliases.includes(id)) ?? customerId;
  return {
    from: sql`customers r
      where r.tenant_id = ${tenantId} and r.id = ${root} and r.erased_at is null`,
    aliases: sql`${aliases}::uuid[]`,
  };
}
