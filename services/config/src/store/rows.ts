import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ResourceMetaSchema } from "@soldier/proto/common/v1/resource";
import { type Agent, AgentSchema } from "@soldier/proto/config/v1/agent";
import { type AgentVersion, AgentVersionSchema } from "@soldier/proto/config/v1/bundle";
import { messageToKeep, storedMessage } from "@soldier/storage/stored-message";
import { type Collection, kindOf, type Resource } from "../domain/kinds.ts";
import type { LiveVersion } from "./config-store.ts";

interface Stamps {
  readonly tenant_id: string;
  readonly etag: string;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export interface AgentRow extends Stamps {
  readonly id: string;
  readonly slug: string;
  readonly body: Uint8Array;
  /** bigint columns are read as text. */
  readonly revision: string;
  readonly published_version: string;
  readonly published_at: Date | null;
}

export interface ResourceRow extends Stamps {
  readonly agent_id: string;
  readonly id: string;
  readonly kind: Collection;
  readonly body: Uint8Array;
}

export interface VersionRow {
  readonly version: string;
  readonly content_hash: string;
  readonly embedding_model: string;
  readonly revision: string;
  readonly comment: string;
  readonly published_by: string;
  readonly published_at: Date;
  readonly rollback_of: string;
}

export function agentFrom(row: AgentRow): Agent {
  const agent = storedMessage(AgentSchema, row.body, { table: "config.agents", id: row.id });
  agent.id = row.id;
  agent.meta = metaFrom(row, "");
  agent.publishedVersion = BigInt(row.published_version);
  if (row.published_at) agent.publishedAt = timestampFromDate(row.published_at);
  return agent;
}

export function agentBody(agent: Agent): Uint8Array {
  return messageToKeep(AgentSchema, {
    ...agent,
    id: "",
    meta: undefined,
    publishedVersion: 0n,
    publishedAt: undefined,
  });
}

export function resourceFrom(row: ResourceRow): Resource {
  // The kind says which message its rows hold; the union of kinds is lost on the descriptor only.
  const kept = { table: "config.resources", id: row.id };
  const resource = storedMessage(kindOf(row.kind).schema, row.body, kept) as Resource;
  resource.id = row.id;
  resource.meta = metaFrom(row, row.agent_id);
  return resource;
}

export function resourceBody(collection: Collection, resource: Resource): Uint8Array {
  const body: Resource = { ...resource, id: "", meta: undefined };
  return messageToKeep(kindOf(collection).schema, body);
}

export function versionFrom(row: VersionRow): AgentVersion {
  return create(AgentVersionSchema, {
    version: BigInt(row.version),
    contentHash: row.content_hash,
    publishedBy: row.published_by,
    publishedAt: timestampFromDate(row.published_at),
    comment: row.comment,
    rollbackOf: BigInt(row.rollback_of),
  });
}

export function liveFrom(row: VersionRow): LiveVersion {
  return {
    version: BigInt(row.version),
    contentHash: row.content_hash,
    embeddingModel: row.embedding_model,
    draftEtag: row.revision,
    rollbackOf: BigInt(row.rollback_of),
  };
}

/** When it was made: what is new is made now. */
export function createdAt({ meta }: Agent | Resource, at: Date): Date {
  return meta?.createdAt ? timestampDate(meta.createdAt) : at;
}

function metaFrom(row: Stamps, agentId: string) {
  return create(ResourceMetaSchema, {
    tenantId: row.tenant_id,
    agentId,
    createdAt: timestampFromDate(row.created_at),
    updatedAt: timestampFromDate(row.updated_at),
    etag: row.etag,
  });
}
