import { type Identity, identityOf } from "@soldier/chassis/identity";
import { audited } from "@soldier/events/audited";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { as } from "../domain/document.ts";
import { draftIndex, placeOf } from "../domain/draft-index.ts";
import type { Kind, Resource } from "../domain/kinds.ts";
import { pageOf, type PageRequest } from "../domain/page.ts";
import { refusal } from "../domain/problem.ts";
import { inUse, nameTaken, notFound, requireEtag } from "../domain/refusals.ts";
import { type Revised, type Revision, revised } from "../domain/revision.ts";
import { newErrors, settle, type Settled } from "../domain/settle.ts";
import { editDraft, requireAgent } from "./edit.ts";
import { paged, type Shown } from "./paged.ts";
import type { Context, Parts } from "./parts.ts";

/** The five things that can be done with resources of one kind. */
export interface Resources<R extends Resource> {
  create(agent: string, sent: R | undefined, ctx: Context): Promise<R>;
  get(agent: string, idOrName: string, ctx: Context): Promise<R>;
  list(agent: string, page: PageRequest, ctx: Context): Promise<Shown<R>>;
  update(agent: string, sent: R | undefined, ctx: Context): Promise<R>;
  delete(agent: string, idOrName: string, etag: string, ctx: Context): Promise<void>;
}

/** The same handlers for every kind: what differs between kinds is in its description. */
export function resources<R extends Resource>(parts: Parts, kind: Kind<R>): Resources<R> {
  const { collection, noun } = kind;
  const find = (draft: AgentDocument, idOrName: string): R => {
    const found = draftIndex(draft).find(collection, idOrName);
    if (!found) throw notFound(kind, idOrName);
    return found as R; // the index holds the kind's own resources in its collection
  };

  return {
    create: (agent, sent, ctx) => {
      const identity = identityOf(ctx);
      const added = as(kind, required(sent)) as R; // a copy is of the same kind
      return editDraft(parts, identity, agent, ({ document: before }, revision) => {
        const wanted = kind.replaced(before, [...kind.of(before), added]);
        const { draft } = accepted(kind, settle(wanted, before), before, added.id);
        const edit = revised(before, draft, revision);
        return { ...edit, ...outcome(edit, find(draft, added.id), identity, "created", revision) };
      });
    },

    async get(agent, idOrName, ctx) {
      const identity = identityOf(ctx);
      const { id } = await requireAgent(parts, identity, agent);
      const found = await parts.store.resource(identity.tenantId, id, collection, idOrName);
      if (!found) throw notFound(kind, idOrName);
      return found as R; // the store reads rows by the kind's collection
    },

    async list(agent, request, ctx) {
      const { slice, shown } = paged(pageOf(request), ({ name }: R) => [name]);
      const identity = identityOf(ctx);
      const { id } = await requireAgent(parts, identity, agent);
      const { tenantId } = identity;
      const found = await parts.store.resources(tenantId, id, collection, slice);
      return shown(found as R[]); // the store reads rows by the kind's collection
    },

    update: (agent, message, ctx) => {
      const identity = identityOf(ctx);
      const sent = required(message);
      return editDraft(parts, identity, agent, ({ document: before }, revision) => {
        const stored = find(before, sent.id || sent.name);
        requireEtag(sent.meta?.etag, stored.meta?.etag);
        const changed = as(kind, sent, stored) as R; // a copy is of the same kind
        const wanted = kind.replaced(
          before,
          kind.of(before).map((one) => (one === stored ? changed : one)),
        );
        const { draft } = accepted(kind, settle(wanted, before), before, stored.id);
        const edit = revised(before, draft, revision);
        return { ...edit, ...outcome(edit, find(draft, stored.id), identity, "updated", revision) };
      });
    },

    delete: (agent, idOrName, etag, ctx) => {
      const identity = identityOf(ctx);
      return editDraft(parts, identity, agent, ({ document: before }, revision) => {
        const stored = find(before, idOrName);
        requireEtag(etag, stored.meta?.etag);
        const wanted = kind.replaced(
          before,
          kind.of(before).filter((one) => one !== stored),
        );
        const settled = settle(wanted, before);
        const bereft = newErrors(settled, before).map(({ field }) => field.split(".", 1)[0] ?? "");
        if (bereft.length > 0) throw inUse(noun, stored.name, [...new Set(bereft)]);
        const edit = revised(before, settled.draft, revision);
        const { events } = outcome(edit, stored, identity, "deleted", revision);
        return { ...edit, events, result: undefined };
      });
    },
  };

  /** The resource as it is after the edit, and the note of who did it. */
  function outcome(
    { written, removed }: Revised,
    resource: R,
    identity: Identity,
    verb: string,
    { at }: Revision,
  ) {
    const after = written.find((one) => one.resource.id === resource.id)?.resource ?? resource;
    const act = {
      action: `${noun.replace(" ", "_")}.${verb}`,
      resourceKind: noun.replace(" ", "_"),
      resourceId: resource.id,
      details: { agent_id: resource.meta?.agentId ?? after.meta?.agentId ?? "", name: after.name },
    };
    const isChange = written.length > 0 || removed.length > 0;
    // What is written of a kind is of that kind.
    return { events: isChange ? [audited(identity, act, at)] : [], result: after as R };
  }
}

/** The settled draft, unless the resource with this id brings errors with it: those are thrown. */
function accepted(kind: Kind, settled: Settled, before: AgentDocument, id: string): Settled {
  const own = kind.of(settled.draft).find((one) => one.id === id);
  const errors = newErrors(settled, before);
  const place = own ? placeOf(kind.collection, own) : "";
  if (errors.some(({ field, reason }) => reason === "DUPLICATE_NAME" && field === `${place}.name`))
    throw nameTaken(kind.noun, own?.name ?? "");
  if (errors.length > 0) throw refusal(errors, { place, field: kind.noun.replace(" ", "_") });
  return settled;
}

function required<R>(sent: R | undefined): R {
  // The contract requires it, and the chassis holds the contract before a handler is called.
  if (sent === undefined) throw new Error("a required message is missing");
  return sent;
}
