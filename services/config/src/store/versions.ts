import { timestampDate } from "@bufbuild/protobuf/wkt";
import { addToOutbox } from "@soldier/events/outbox";
import { tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import type { ConfigStore, Publication } from "./config-store.ts";
import { agentRow } from "./drafts.ts";
import { liveFrom, versionFrom, type VersionRow } from "./rows.ts";

/** Published versions and the vectors that they are compiled with. */
type Versions = Pick<
  ConfigStore,
  "publish" | "versions" | "bundle" | "bundlePiece" | "vectors" | "keepVectors"
>;

export function postgresVersions(pool: Sql): Versions {
  return {
    async publish(tenantId, agentId, decide) {
      const decided = await tenantSql(pool, tenantId).begin(async (tx) => {
        const agent = await agentRow(tx, tenantId, agentId, tx`for update`);
        if (!agent) return undefined;
        const [live] = await tx<VersionRow[]>`
          select version, content_hash, embedding_model, revision, comment, published_by,
                 published_at, rollback_of
          from agent_versions
          where tenant_id = ${tenantId} and agent_id = ${agentId}
            and version = ${agent.published_version}`;
        const { publication, result } = decide(live && liveFrom(live));
        if (publication) await store(tx, tenantId, agentId, publication);
        return { result };
      });
      return decided?.result;
    },

    async versions(tenantId, agentId, { after, limit }) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<VersionRow[]>`
        select version, content_hash, embedding_model, revision, comment, published_by,
               published_at, rollback_of
        from agent_versions
        where tenant_id = ${tenantId} and agent_id = ${agentId}
          ${after === undefined ? sql`` : sql`and version < ${after[0] ?? 0}`}
        order by version desc limit ${limit}`;
      return rows.map(versionFrom);
    },

    async bundle(tenantId, agentId, version) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ bundle: Uint8Array }[]>`
        select bundle from agent_versions
        where tenant_id = ${tenantId} and agent_id = ${agentId} and version = ${String(version)}`;
      return row?.bundle;
    },

    async bundlePiece(tenantId, agentId, version, { from, bytes }) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ piece: Uint8Array; sizeBytes: number }[]>`
        select substring(bundle from ${from + 1}::int for ${bytes}::int) as piece,
               octet_length(bundle) as "sizeBytes"
        from agent_versions
        where tenant_id = ${tenantId} and agent_id = ${agentId} and version = ${String(version)}`;
      return row;
    },

    async vectors(tenantId, model, hashes) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ hash: string; vector: Uint8Array }[]>`
        select encode(text_hash, 'hex') as hash, vector from embeddings
        where tenant_id = ${tenantId} and model = ${model}
          and text_hash in (select decode(hash, 'hex') from unnest(${[...hashes]}::text[]) hash)`;
      return new Map(rows.map(({ hash, vector }) => [hash, vector]));
    },

    async keepVectors(tenantId, model, vectors) {
      const sql = tenantSql(pool, tenantId);
      const rows = [...vectors].map(([hash, vector]) => ({
        tenant_id: tenantId,
        model,
        text_hash: Buffer.from(hash, "hex"),
        vector,
      }));
      if (rows.length > 0) await sql`insert into embeddings ${sql(rows)} on conflict do nothing`;
    },
  };
}

async function store(
  tx: ISql,
  tenantId: string,
  agentId: string,
  { version: about, embeddingModel, draftEtag, bundle, events }: Publication,
): Promise<void> {
  const version = String(about.version);
  const publishedAt = about.publishedAt ? timestampDate(about.publishedAt) : null;
  await tx`
    insert into agent_versions ${tx({
      tenant_id: tenantId,
      agent_id: agentId,
      version,
      content_hash: about.contentHash,
      embedding_model: embeddingModel,
      revision: draftEtag,
      bundle,
      comment: about.comment,
      published_by: about.publishedBy,
      published_at: publishedAt,
      rollback_of: String(about.rollbackOf),
    })}`;
  await tx`
    update agents set published_version = ${version}, published_at = ${publishedAt}
    where tenant_id = ${tenantId} and id = ${agentId}`;
  await addToOutbox(tx, events);
}
