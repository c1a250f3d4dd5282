import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ResourceMetaSchema } from "@soldier/proto/common/v1/resource";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { type Change, difference, type Placed } from "./difference.ts";

/** What all that one edit writes has in common. */
export interface Revision {
  readonly tenantId: string;
  readonly etag: string;
  readonly at: Date;
}

export interface Revised {
  readonly changes: readonly Change[];
  readonly agent?: Agent;
  readonly written: readonly Placed[];
  readonly removed: readonly Placed[];
}

/** What is to be written to bring one settled draft to another, under its new meta. */
export function revised(before: AgentDocument, after: AgentDocument, revision: Revision): Revised {
  const { changes, written, removed, agent: isAgentWritten } = difference(before, after);
  const { agent } = after;
  return {
    changes,
    removed,
    written: written.map(({ collection, resource }) => ({
      collection,
      resource: { ...resource, meta: metaOf(resource, agent?.id ?? "", revision) },
    })),
    ...(agent && isAgentWritten && { agent: { ...agent, meta: metaOf(agent, "", revision) } }),
  };
}

/** The agent as it is when it is deleted now. */
export function deletedAgent(agent: Agent, revision: Revision): Agent {
  const meta = metaOf(agent, "", revision);
  return { ...agent, meta: { ...meta, deletedAt: timestampFromDate(revision.at) } };
}

function metaOf(
  { meta }: { readonly meta?: { readonly createdAt?: Timestamp | undefined } | undefined },
  agentId: string,
  { tenantId, etag, at }: Revision,
) {
  const updatedAt = timestampFromDate(at);
  return create(ResourceMetaSchema, {
    tenantId,
    agentId,
    createdAt: meta?.createdAt ?? updatedAt,
    updatedAt,
    etag,
  });
}
