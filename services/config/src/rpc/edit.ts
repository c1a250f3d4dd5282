import type { Identity } from "@soldier/chassis/identity";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { Revision } from "../domain/revision.ts";
import { agentNotFound } from "../domain/refusals.ts";
import type { Edit, StoredDraft } from "../store/config-store.ts";
import type { Parts } from "./parts.ts";

/** The agent, or the Fault AGENT_NOT_FOUND that suggests another. */
export async function requireAgent(
  { store }: Pick<Parts, "store">,
  { tenantId }: Identity,
  idOrSlug: string,
): Promise<Agent> {
  return (await store.agent(tenantId, idOrSlug)) ?? (await noAgent({ store }, tenantId, idOrSlug));
}

export async function requireDraft(
  { store }: Pick<Parts, "store">,
  { tenantId }: Identity,
  idOrSlug: string,
): Promise<StoredDraft> {
  return (await store.draft(tenantId, idOrSlug)) ?? (await noAgent({ store }, tenantId, idOrSlug));
}

/** Edits the draft of an agent that is there. */
export async function editDraft<T>(
  parts: Parts,
  identity: Identity,
  idOrSlug: string,
  plan: (current: StoredDraft, revision: Revision) => Omit<Edit<T>, "at">,
): Promise<T> {
  const { tenantId } = identity;
  const at = parts.clock.now();
  const { id } = await requireAgent(parts, identity, idOrSlug);
  const result = await parts.store.edit(tenantId, id, (current, etag) => {
    if (!current) throw agentNotFound(idOrSlug);
    return { ...plan(current, { tenantId, etag, at }), at };
  });
  parts.committed();
  return result;
}

async function noAgent(
  { store }: Pick<Parts, "store">,
  tenantId: string,
  idOrSlug: string,
): Promise<never> {
  // Only names to suggest.
  const page = { after: undefined, limit: 500, onDamaged: () => {} };
  const others = await store.agents(tenantId, page);
  throw agentNotFound(
    idOrSlug,
    others.map(({ slug }) => slug),
  );
}
