import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Identity, identityOf } from "@soldier/chassis/identity";
import { audited } from "@soldier/events/audited";
import {
  type AgentDocument,
  ApplyAgentResponseSchema,
  type ConfigService,
} from "@soldier/proto/config/v1/config_service";
import { draftOf } from "../domain/bundle.ts";
import { adopted, emptyDraft, exported } from "../domain/document.ts";
import { refusal } from "../domain/problem.ts";
import { requireEtag } from "../domain/refusals.ts";
import { revised, type Revision } from "../domain/revision.ts";
import { errorsOf, settle } from "../domain/settle.ts";
import type { StoredDraft } from "../store/config-store.ts";
import { requireDraft } from "./edit.ts";
import type { Parts } from "./parts.ts";

type Documents = Required<
  Pick<ServiceImpl<typeof ConfigService>, "applyAgent" | "exportAgent" | "validateDraft">
>;

/** Whole drafts: applied, exported, checked. */
export function documentHandlers(parts: Parts): Documents {
  const { store, clock, committed, publisher } = parts;

  /** What applying the document to this draft would do; throws when it may not be. */
  function plan(
    identity: Identity,
    document: AgentDocument,
    draftEtag: string,
    current: StoredDraft | undefined,
    revision: Revision,
  ) {
    requireEtag(draftEtag, current?.etag ?? "");
    const before = current?.document ?? emptyDraft();
    const { draft, problems } = settle(adopted(document, before), before);
    const errors = errorsOf(problems);
    if (errors.length > 0) throw refusal(errors);
    const edit = revised(before, draft, revision);
    const agentId = draft.agent?.id ?? "";
    const isChange = edit.agent ?? (edit.written.length > 0 || edit.removed.length > 0);
    const act = {
      action: "agent.applied",
      resourceKind: "agent",
      resourceId: agentId,
      details: { slug: document.agent?.slug ?? "", changes: edit.changes.length },
    };
    const result = create(ApplyAgentResponseSchema, {
      agentId: current || isChange ? agentId : "",
      changes: [...edit.changes],
      draftEtag: isChange ? revision.etag : (current?.etag ?? ""),
    });
    const events = isChange ? [audited(identity, act, revision.at)] : [];
    return { ...edit, events, at: revision.at, result };
  }

  return {
    async applyAgent({ document, dryRun, publish, comment, draftEtag }, ctx) {
      const identity = identityOf(ctx);
      const { tenantId } = identity;
      if (!document?.agent) throw new Error("a required message is missing"); // held by the contract
      const { slug } = document.agent;
      const at = clock.now();
      if (dryRun) {
        const current = await store.draft(tenantId, slug);
        const etag = current?.etag ?? "";
        const { result } = plan(identity, document, draftEtag, current, { tenantId, etag, at });
        return { ...result, agentId: current?.document.agent.id ?? "", draftEtag: etag };
      }
      const applied = await store.edit(tenantId, slug, (current, etag) =>
        plan(identity, document, draftEtag, current, { tenantId, etag, at }),
      );
      committed();
      if (!publish) return applied;
      const published = await publisher.publish(identity, applied.agentId, comment, ctx.signal);
      return { ...applied, version: published.version };
    },

    async exportAgent({ agentId, version }, ctx) {
      const identity = identityOf(ctx);
      const { document, etag } = await requireDraft(parts, identity, agentId);
      if (version === 0n) return { document: exported(document), draftEtag: etag };
      const bundle = await publisher.version(identity, document.agent, version);
      return { document: exported(draftOf(bundle)), draftEtag: etag };
    },

    async validateDraft({ agentId }, ctx) {
      const { document } = await requireDraft(parts, identityOf(ctx), agentId);
      return { problems: [...settle(document, document).problems] };
    },
  };
}
