import type { ServiceImpl } from "@connectrpc/connect";
import { identityOf } from "@soldier/chassis/identity";
import type { ConfigService } from "@soldier/proto/config/v1/config_service";
import { pageOf, tokenOf } from "../domain/page.ts";
import { requireAgent } from "./edit.ts";
import type { Parts } from "./parts.ts";

type Versions = Required<
  Pick<ServiceImpl<typeof ConfigService>, "publishAgent" | "rollbackAgent" | "listAgentVersions">
>;

const versionNumber = /^\d{1,18}$/;

/** Published versions: made and listed. */
export function versionHandlers(parts: Parts): Versions {
  const { store, publisher } = parts;
  return {
    async publishAgent({ agentId, comment }, ctx) {
      const identity = identityOf(ctx);
      const { id } = await requireAgent(parts, identity, agentId);
      return await publisher.publish(identity, id, comment, ctx.signal);
    },

    async rollbackAgent({ agentId, version, comment }, ctx) {
      const identity = identityOf(ctx);
      const agent = await requireAgent(parts, identity, agentId);
      return await publisher.rollback(identity, agent, version, comment, ctx.signal);
    },

    async listAgentVersions({ agentId, ...request }, ctx) {
      const { after, limit } = pageOf(request, [versionNumber]);
      const identity = identityOf(ctx);
      const { id } = await requireAgent(parts, identity, agentId);
      const found = await store.versions(identity.tenantId, id, { after, limit: limit + 1 });
      const versions = found.slice(0, limit);
      const last = versions.at(-1);
      const isMore = found.length > limit && last;
      return { versions, nextPageToken: isMore ? tokenOf(String(last.version)) : "" };
    },
  };
}
