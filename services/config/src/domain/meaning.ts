import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { type Agent, AgentSchema } from "@soldier/proto/config/v1/agent";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { canonical, sha256 } from "./canonical.ts";
import { allKinds, type Kind, kinds, type Resource } from "./kinds.ts";
import { withNames } from "./resolve.ts";

/** What an author wrote, by the contract's field names: without ids, meta and stamps. */
export function writtenBy(kind: Kind, resource: Resource): JsonObject {
  const { version: _version, content_hash: _hash, ...written } = storedOf(kind, resource);
  const { steps } = written;
  if (!Array.isArray(steps)) return written;
  return { ...written, steps: steps.map((step) => without(step, "content_hash")) };
}

/** What is stored of a resource beside its columns: stamps, too. */
export function storedOf(kind: Kind, resource: Resource): JsonObject {
  const { id: _id, meta: _meta, ...stored } = jsonOf(kind.schema, resource);
  return stored;
}

/** What an author wrote of the agent itself. */
export function writtenOfAgent(agent: Agent): JsonObject {
  const {
    id: _id,
    meta: _meta,
    published_version: _version,
    published_at: _at,
    ...written
  } = jsonOf(AgentSchema, agent);
  return written;
}

/**
 * SHA-256 over the behaviour, in hexadecimal. References count by name and the order of resources
 * doesn't, so that the same files give the same hash in every deployment.
 */
export function contentHash(draft: AgentDocument): string {
  const named = withNames(draft);
  const collections = allKinds.map((kind) =>
    kind
      .of(named)
      .toSorted(byName)
      .map((resource) => writtenBy(kind, resource)),
  );
  return sha256(canonical([named.agent ? writtenOfAgent(named.agent) : null, ...collections]));
}

export function byName(a: Pick<Resource, "name">, b: Pick<Resource, "name">): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** The rule, as far as it says how it acts: tags are for people. */
export function actingPart(rule: Resource): string {
  const { tags: _tags, name: _name, ...acting } = writtenBy(kinds.rules, rule);
  return canonical(acting);
}

function jsonOf(schema: Kind["schema"], message: Resource | Agent): JsonObject {
  // A message that is not a well-known type is always an object in JSON.
  return toJson(schema, message, { useProtoFieldName: true }) as JsonObject;
}

function without(value: JsonObject[string], key: string): JsonObject[string] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const { [key]: _removed, ...rest } = value;
  return rest;
}
