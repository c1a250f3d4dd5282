import type { Sql } from "postgres";
import type { Link } from "../domain/chain.ts";
import type { Interval } from "./audit-store.ts";

interface LinkRow {
  readonly seq: string;
  readonly kind: "turn" | "event";
  readonly at: Date;
  readonly micros: string;
  readonly id: string;
  readonly content_hash: Uint8Array;
  readonly hash: Uint8Array;
  readonly record: Uint8Array | null;
  readonly personal: Uint8Array | null;
}

export async function readLinks(
  sql: Sql,
  tenantId: string,
  from: bigint,
  rowsMax: number,
): Promise<readonly Link[]> {
  const rows = await sql<LinkRow[]>`
    select c.seq, c.kind, c.at, (extract(epoch from c.at) * 1000000)::bigint as micros, c.id,
      c.content_hash, c.hash, coalesce(t.record, e.event) as record, t.personal
    from chain c
    left join turn_records t on c.kind = 'turn'
      and t.tenant_id = c.tenant_id and t.received_at = c.at and t.turn_id = c.id
    left join audit_events e on c.kind = 'event'
      and e.tenant_id = c.tenant_id and e.occurred_at = c.at and e.id = c.id
    where c.tenant_id = ${tenantId} and c.seq >= ${from.toString()}
    order by c.seq limit ${rowsMax}`;
  return rows.map(({ seq, kind, at, micros, id, content_hash, hash, record, personal }) => ({
    seq: BigInt(seq),
    kind,
    at,
    atMicros: BigInt(micros),
    id,
    contentHash: content_hash,
    hash,
    content: record ? { record, personal } : undefined,
  }));
}

/** The id of one record or event of the interval that the chain does not know. */
export async function readUnchained(
  sql: Sql,
  tenantId: string,
  { from, to }: Interval,
): Promise<string | undefined> {
  const since = from ?? null;
  const until = to ?? null;
  const [row] = await sql<{ id: string }[]>`
    select turn_id as id from turn_records r
    where tenant_id = ${tenantId}
      and (${since}::timestamptz is null or received_at >= ${since})
      and (${until}::timestamptz is null or received_at < ${until})
      and not exists (select from chain c
        where c.tenant_id = r.tenant_id and c.at = r.received_at and c.id = r.turn_id)
    union all
    select id from audit_events e
    where tenant_id = ${tenantId}
      and (${since}::timestamptz is null or occurred_at >= ${since})
      and (${until}::timestamptz is null or occurred_at < ${until})
      and not exists (select from chain c
        where c.tenant_id = e.tenant_id and c.at = e.occurred_at and c.id = e.id)
    limit 1`;
  return row?.id;
}
