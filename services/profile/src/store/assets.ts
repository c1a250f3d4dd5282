import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { type Asset, AssetSchema, type FieldSource } from "@soldier/proto/profile/v1/profile";
import type { ISql, Sql } from "postgres";
import { holdOne, touch } from "./hold.ts";
import type { NewAsset, Page } from "./profile-store.ts";

interface AssetRow {
  readonly id: string;
  readonly customer_id: string;
  readonly kind: string;
  readonly uri: string;
  readonly checksum: Uint8Array;
  readonly media_type: string;
  readonly size_bytes: string;
  readonly source: FieldSource;
  readonly session_id: string;
  readonly recorded_at: Date;
  readonly recorded_by: string;
}

/** See ProfileStore.addAsset. Part of a transaction. */
export async function addAsset(
  tx: ISql,
  tenantId: string,
  customerId: string,
  asset: NewAsset,
  now: Date,
): Promise<{ readonly asset: Asset; readonly repeated: boolean } | undefined> {
  const held = await holdOne(tx, tenantId, customerId, now);
  if (!held) return undefined;
  const { kind, uri, checksum, mediaType, sizeBytes, source, sessionId, recordedBy } = asset;
  const [made] = await tx<AssetRow[]>`
    insert into assets (
      tenant_id, id, customer_id, kind, uri, checksum, media_type, size_bytes, source, session_id,
      recorded_at, recorded_by
    )
    values (
      ${tenantId}, ${newId()}, ${customerId}, ${kind}, ${uri}, ${Buffer.from(checksum)},
      ${mediaType}, ${String(sizeBytes)}, ${source}, ${sessionId}, ${held.recordedAt}, ${recordedBy}
    )
    on conflict do nothing
    returning *`;
  if (made) {
    await touch(tx, tenantId, held, customerId);
    return { asset: messageOf(made), repeated: false };
  }
  const [there] = await tx<AssetRow[]>`
    select * from assets
    where tenant_id = ${tenantId} and customer_id = ${customerId} and kind = ${kind}
      and uri = ${uri} and checksum = ${Buffer.from(checksum)}`;
  return there && { asset: messageOf(there), repeated: true };
}

/** See ProfileStore.assets. */
export async function listAssets(
  sql: Sql,
  tenantId: string,
  customerId: string,
  limit: number,
  after: string | undefined,
): Promise<Page<Asset>> {
  const rows = await sql<AssetRow[]>`
    select a.* from assets a
    where a.tenant_id = ${tenantId} and a.customer_id in (
        select unnest(r.id || r.alias_ids)
        from customers c
        join customers r on r.tenant_id = c.tenant_id and r.id = coalesce(c.root_id, c.id)
        where c.tenant_id = ${tenantId} and c.id = ${customerId}
      )
      and (${after ?? null}::uuid is null or a.id < ${after ?? null})
    order by a.id desc
    limit ${limit + 1}`;
  const page = rows.slice(0, limit);
  return {
    items: page.map(messageOf),
    next: rows.length > limit ? page.at(-1)?.id : undefined,
  };
}

function messageOf(row: AssetRow): Asset {
  return create(AssetSchema, {
    id: row.id,
    customerId: row.customer_id,
    kind: row.kind,
    uri: row.uri,
    checksum: new Uint8Array(row.checksum),
    mediaType: row.media_type,
    sizeBytes: BigInt(row.size_bytes),
    source: row.source,
    sessionId: row.session_id,
    recordedAt: timestampFromDate(row.recorded_at),
    recordedBy: row.recorded_by,
  });
}
