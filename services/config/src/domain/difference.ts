import type { JsonObject } from "@bufbuild/protobuf";
import { type AgentDocument, ChangeKind } from "@soldier/proto/config/v1/config_service";
import { canonical } from "./canonical.ts";
import { allKinds, type Collection, type Kind, type Resource } from "./kinds.ts";
import { storedOf, writtenBy, writtenOfAgent } from "./meaning.ts";

/** One difference that an author would see; the contract's Change. */
export interface Change {
  readonly kind: ChangeKind;
  readonly collection: string;
  readonly name: string;
  /** Of an update: the fields that differ, by the contract's names. */
  readonly fields: string[];
}

export interface Placed {
  readonly collection: Collection;
  readonly resource: Resource;
}

export interface Difference {
  readonly changes: readonly Change[];
  /** To be written: new or different, be it only in a stamp. */
  readonly written: readonly Placed[];
  readonly removed: readonly Placed[];
  /** The agent itself is new or differs. */
  readonly agent: boolean;
}

/** What brings one settled draft to another; resources are the same when their ids are. */
export function difference(before: AgentDocument, after: AgentDocument): Difference {
  const agentChanges = changesOfAgent(before, after);
  const changes: Change[] = [...agentChanges];
  const written: Placed[] = [];
  const removed: Placed[] = [];
  for (const kind of allKinds) {
    const { collection } = kind;
    const was = new Map(kind.of(before).map((resource) => [resource.id, resource]));
    for (const resource of kind.of(after)) {
      const old = was.get(resource.id);
      was.delete(resource.id);
      if (old === resource || (old && isStoredAlike(kind, old, resource))) continue;
      written.push({ collection, resource });
      const fields = old ? differingFields(writtenBy(kind, old), writtenBy(kind, resource)) : [];
      if (!old) changes.push(change(ChangeKind.CREATED, collection, resource.name));
      else if (fields.length > 0)
        changes.push(change(ChangeKind.UPDATED, collection, resource.name, fields));
    }
    for (const resource of was.values()) {
      removed.push({ collection, resource });
      changes.push(change(ChangeKind.DELETED, collection, resource.name));
    }
  }
  return { changes, written, removed, agent: agentChanges.length > 0 };
}

function changesOfAgent(
  { agent: before }: AgentDocument,
  { agent: after }: AgentDocument,
): readonly Change[] {
  if (!after || before === after) return [];
  if (!before?.id) return [change(ChangeKind.CREATED, "agent", after.slug)];
  const fields = differingFields(writtenOfAgent(before), writtenOfAgent(after));
  return fields.length > 0 ? [change(ChangeKind.UPDATED, "agent", after.slug, fields)] : [];
}

function change(kind: ChangeKind, collection: string, name: string, fields: string[] = []): Change {
  return { kind, collection, name, fields };
}

function isStoredAlike(kind: Kind, a: Resource, b: Resource): boolean {
  return canonical(storedOf(kind, a)) === canonical(storedOf(kind, b));
}

function differingFields(before: JsonObject, after: JsonObject): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => canonical(before[key]) !== canonical(after[key])).toSorted();
}
