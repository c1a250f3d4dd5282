import { clone, create } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { type Agent, AgentSchema } from "@soldier/proto/config/v1/agent";
import { type AgentDocument, AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { completed } from "./complete.ts";
import { allKinds, type Kind, type Resource } from "./kinds.ts";
import { byName } from "./meaning.ts";
import { withNames } from "./resolve.ts";

/** A draft with nothing in it. */
export function emptyDraft(agent?: Agent): AgentDocument {
  return create(AgentDocumentSchema, agent ? { agent } : {});
}

/**
 * What a caller sent as the whole draft, with the ids of the resources that have the same names now
 * and fresh ids for the new ones. Ids, meta and stamps that were sent along don't count.
 */
export function adopted(document: AgentDocument, before: AgentDocument): AgentDocument {
  const known = (kind: Kind) => new Map(kind.of(before).map((old) => [old.name, old]));
  const identified = (target: AgentDocument, kind: Kind) => {
    const old = known(kind);
    const all = kind.of(target).map((resource) => as(kind, resource, old.get(resource.name)));
    return kind.replaced(target, all);
  };
  const isRelation = ({ collection }: Kind) => collection === "relations";
  // Relations may be named after their ends, so their ids can be told only after the others'.
  const others = allKinds.filter((kind) => !isRelation(kind)).reduce(identified, document);
  const all = allKinds.filter(isRelation).reduce(identified, completed(others));
  const { agent } = document;
  return agent ? { ...all, agent: asAgent(agent, before.agent) } : all;
}

/** The draft in the form that is applied and kept in files: by names, without anything of ours. */
export function exported(draft: AgentDocument): AgentDocument {
  const named = withNames(draft);
  const bare = allKinds.reduce((target: AgentDocument, kind) => {
    const all = kind.of(target).map((resource) => unstamped(as(kind, resource, undefined, "")));
    return kind.replaced(target, all.toSorted(byName));
  }, named);
  if (!named.agent) return bare;
  const agent = clone(AgentSchema, named.agent);
  return { ...bare, agent: { ...withoutStamps(agent), id: "" } };
}

/** The agent that was sent, as the one that is stored: with its id and what only we write. */
export function asAgent(sent: Agent, stored: Agent | undefined): Agent {
  const agent = withoutStamps(clone(AgentSchema, sent));
  agent.id = stored?.id ?? newId();
  agent.publishedVersion = stored?.publishedVersion ?? 0n;
  if (stored?.meta) agent.meta = stored.meta;
  if (stored?.publishedAt) agent.publishedAt = stored.publishedAt;
  return agent;
}

/** The resource that was sent, as the one that is stored: with its id and meta, else a fresh id. */
export function as(
  kind: Kind,
  sent: Resource,
  stored?: Resource,
  id: string = stored?.id ?? newId(),
): Resource {
  // clone() gives the same kind of message; the union of kinds is lost on the descriptor only.
  const copy = clone(kind.schema, sent) as Resource;
  delete copy.meta;
  copy.id = id;
  if (stored?.meta) copy.meta = stored.meta;
  return copy;
}

function unstamped(resource: Resource): Resource {
  if (resource.$typeName !== "soldier.config.v1.Scenario") return resource;
  resource.version = 0n;
  resource.contentHash = "";
  for (const step of resource.steps) step.contentHash = "";
  return resource;
}

function withoutStamps(agent: Agent): Agent {
  delete agent.meta;
  delete agent.publishedAt;
  agent.publishedVersion = 0n;
  return agent;
}
