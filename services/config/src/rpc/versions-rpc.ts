import type { ServiceImpl } from "@connectrpc/connect";
import { identityOf } from "@soldier/chassis/identity";
import type { ConfigService } from "@soldier/proto/config/v1/config_service";
import { pageOf, tokenOf } from "../domain/page.ts";
import { agentNotPublished } from "../domain/refusals.ts";
import { requireAgent } from "./edit.ts";
import type { Parts } from "./parts.ts";

type Versions = Required<
  Pick<
    ServiceImpl<typeof ConfigService>,
    "publishAgent" | "rollbackAgent" | "listAgentVersions" | "getBundle"
  >
>;

const versionNumber = /^\d{1,18}$/;

/** Published versions: made, listed, read. */
export function versionHandlers(parts: Parts): Versions {
  const { store, clock, publisher } = parts;
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

    async getBundle({ agentId, version, knownVersion }, ctx) {
      const identity = identityOf(ctx);
      const agent = await requireAgent(parts, identity, agentId);
      const wanted = version || agent.publishedVersion;
      if (wanted === 0n) throw agentNotPublished(agent.slug);
      const known = wanted === knownVersion;
      const [bundle, values] = await Promise.all([
        known ? undefined : publisher.version(identity, agent, wanted),
        store.valuesInForce(identity.tenantId, agent.id, clock.now()),
      ]);
      return { ...(bundle && { bundle }), version: wanted, variableValues: [...values] };
    },
  };
}
