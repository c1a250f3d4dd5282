import type { ServiceImpl } from "@connectrpc/connect";
import { identityOf } from "@soldier/chassis/identity";
import { audited } from "@soldier/events/audited";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { AgentDocument, ConfigService } from "@soldier/proto/config/v1/config_service";
import { asAgent, emptyDraft } from "../domain/document.ts";
import { pageOf } from "../domain/page.ts";
import { refusal } from "../domain/problem.ts";
import { nameTaken, requireEtag } from "../domain/refusals.ts";
import { deletedAgent, revised } from "../domain/revision.ts";
import { newErrors, settle } from "../domain/settle.ts";
import { editDraft, requireAgent } from "./edit.ts";
import { configPublished } from "../events.ts";
import { paged } from "./paged.ts";
import type { Parts } from "./parts.ts";

type Agents = Required<
  Pick<
    ServiceImpl<typeof ConfigService>,
    "createAgent" | "getAgent" | "listAgents" | "updateAgent" | "deleteAgent"
  >
>;

export function agentHandlers(parts: Parts): Agents {
  const { store, clock, committed } = parts;
  return {
    async createAgent({ agent: sent }, ctx) {
      const identity = identityOf(ctx);
      const { tenantId } = identity;
      if (!sent) throw new Error("a required message is missing"); // held by the contract
      const agent = asAgent(sent, undefined);
      const at = clock.now();
      const stored = await store.edit(tenantId, agent.slug, (current, etag) => {
        if (current) throw nameTaken("agent", agent.slug);
        const before = emptyDraft();
        const draft = accepted({ ...before, agent }, before);
        const edit = revised(before, draft, { tenantId, etag, at });
        const act = agentAct("created", agent.id, agent.slug);
        return { ...edit, at, events: [audited(identity, act, at)], result: edit.agent };
      });
      committed();
      return { ...(stored && { agent: stored }) };
    },

    async getAgent({ agentId }, ctx) {
      return { agent: await requireAgent(parts, identityOf(ctx), agentId) };
    },

    async listAgents(request, ctx) {
      const { slice, shown } = paged(pageOf(request), ({ slug }: Agent) => [slug]);
      const { items, ...page } = shown(await store.agents(identityOf(ctx).tenantId, slice));
      return { agents: items, ...page };
    },

    async updateAgent({ agent: sent }, ctx) {
      const identity = identityOf(ctx);
      if (!sent) throw new Error("a required message is missing"); // held by the contract
      const which = sent.id || sent.slug;
      const agent = await editDraft(parts, identity, which, ({ document: before }, revision) => {
        requireEtag(sent.meta?.etag, before.agent.meta?.etag);
        const draft = accepted({ ...before, agent: asAgent(sent, before.agent) }, before);
        const edit = revised(before, draft, revision);
        const act = agentAct("updated", before.agent.id, sent.slug);
        const events = edit.agent ? [audited(identity, act, revision.at)] : [];
        return { ...edit, events, result: edit.agent ?? before.agent };
      });
      return { agent };
    },

    async deleteAgent({ agentId, etag }, ctx) {
      const identity = identityOf(ctx);
      await editDraft(parts, identity, agentId, ({ document: { agent } }, revision) => {
        requireEtag(etag, agent.meta?.etag);
        const { at } = revision;
        const act = agentAct("deleted", agent.id, agent.slug);
        const gone = agent.publishedVersion > 0n ? [configPublished(identity, agent, 0n, at)] : [];
        return {
          agent: deletedAgent(agent, revision),
          written: [],
          removed: [],
          events: [...gone, audited(identity, act, at)],
          result: undefined,
        };
      });
      return {};
    },
  };
}

function accepted(wanted: AgentDocument, before: AgentDocument): AgentDocument {
  const settled = settle(wanted, before);
  const errors = newErrors(settled, before);
  if (errors.length > 0) throw refusal(errors);
  return settled.draft;
}

function agentAct(verb: string, id: string, slug: string) {
  return {
    action: `agent.${verb}`,
    resourceKind: "agent",
    resourceId: id,
    details: { slug },
  };
}
