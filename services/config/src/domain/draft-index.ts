import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { allKinds, type Collection, type Resource } from "./kinds.ts";

/** Finds the resources of one document. */
export interface DraftIndex {
  /** By id or, when no id is like that, by name. */
  find(collection: Collection, idOrName: string): Resource | undefined;
  /** Every name of the collection. */
  names(collection: Collection): Iterable<string>;
}

export function draftIndex(document: AgentDocument): DraftIndex {
  const collections = new Map(
    allKinds.map((kind) => {
      const all = kind.of(document);
      const byId = new Map(all.filter(({ id }) => id).map((resource) => [resource.id, resource]));
      // Of two with one name the first is meant; that there are two is a problem of its own.
      const byName = new Map(all.toReversed().map((resource) => [resource.name, resource]));
      return [kind.collection, { byId, byName }];
    }),
  );
  return {
    find(collection, idOrName) {
      const found = collections.get(collection);
      return found?.byId.get(idOrName) ?? found?.byName.get(idOrName);
    },
    names: (collection) => collections.get(collection)?.byName.keys() ?? [],
  };
}

/** "rules/greet": where problems, refusals and changes say that they are. */
export function placeOf(collection: Collection, resource: Pick<Resource, "name">): string {
  return `${collection}/${resource.name}`;
}
