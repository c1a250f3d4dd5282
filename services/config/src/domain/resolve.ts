import { clone } from "@bufbuild/protobuf";
import { type Agent, AgentSchema } from "@soldier/proto/config/v1/agent";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { type DraftIndex, draftIndex, placeOf } from "./draft-index.ts";
import { agentReferences, allKinds, type Kind, type Reference, type Resource } from "./kinds.ts";
import { notesOn, type Problem, unknownName } from "./problem.ts";

/** What is to stand in the place of a reference. */
type Link = (reference: Reference) => string;

/**
 * The document with every reference an id. References that lead nowhere stay as they are and are
 * told in `problems`. Resources without a change are the same objects as before.
 */
export function withIds(document: AgentDocument, problems: Problem[]): AgentDocument {
  const index = draftIndex(document);
  return linked(document, (place) => {
    const notes = notesOn(place, problems);
    return ({ to, value, field }) => {
      const found = index.find(to, value);
      if (!found) notes.wrong(field, "REFERENCE_UNKNOWN", unknown(index, to, value));
      return found?.id || value;
    };
  });
}

/** The document with every reference a name: what is exported, compared and hashed. */
export function withNames(document: AgentDocument): AgentDocument {
  const index = draftIndex(document);
  return linked(
    document,
    () =>
      ({ to, value }) =>
        index.find(to, value)?.name ?? value,
  );
}

/** References of one resource to another: who would be left dangling without it. */
export function refersTo(kind: Kind, resource: Resource, id: string): boolean {
  return kind.references(resource).some(({ value }) => value === id);
}

function unknown(index: DraftIndex, to: Reference["to"], value: string): string {
  return unknownName(to.replace(/s$/, "").replace("_", " "), value, index.names(to));
}

function linked(document: AgentDocument, linkAt: (place: string) => Link): AgentDocument {
  let result = document;
  for (const kind of allKinds) {
    const resources = kind
      .of(document)
      .map((resource) =>
        linkedResource(kind, resource, linkAt(placeOf(kind.collection, resource))),
      );
    result = kind.replaced(result, resources);
  }
  const { agent } = document;
  return agent ? { ...result, agent: linkedAgent(agent, linkAt("agent")) } : result;
}

function linkedResource(kind: Kind, resource: Resource, link: Link): Resource {
  const references = kind.references(resource);
  const values = references.map(link);
  if (references.every(({ value }, i) => value === values[i])) return resource;
  // clone() gives the same kind of message; the union of kinds is lost on the descriptor only.
  const copy = clone(kind.schema, resource) as Resource;
  for (const [i, reference] of kind.references(copy).entries()) reference.put(values[i] ?? "");
  return copy;
}

function linkedAgent(agent: Agent, link: Link): Agent {
  const copy = clone(AgentSchema, agent);
  for (const reference of agentReferences(copy)) reference.put(link(reference));
  return copy;
}
