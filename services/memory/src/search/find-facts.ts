import { foldedName } from "../domain/canonical.ts";
import { endsOf } from "../domain/graph-walk.ts";
import type { FactFinds, FactsPoint } from "../store/find-facts.ts";
import type { StoredFact } from "../store/fact-store.ts";
import type { GraphStore } from "../store/graph-store.ts";

/** A fact that may be worth knowing. */
export interface FactCandidate {
  readonly fact: StoredFact;
  /** As it is told, by the names of what it is about: "Ana lives in Lisbon". */
  readonly text: string;
  /** Where it was said. */
  readonly episodeIds: readonly string[];
  /** How near it is to what the question names: 1 about it, a half one fact further on; 0 far. */
  readonly graph: number;
}

export interface FactFinder {
  /**
   * Facts that hold at the point: those around the entities that a question names, and those that were
   * confirmed last. What does not hold takes no place of what does.
   */
  candidates(
    tenantId: string,
    question: string,
    point: FactsPoint,
  ): Promise<readonly FactCandidate[]>;
}

/** So many facts are compared with a question, beside those that lie around what it names. */
const latestMax = 500;
const namedMax = 8;
const depthMax = 2;
const aroundMax = 100;
/** Words of a name at most, and of a question that is read for names. */
const nameWordsMax = 4;
const questionWordsMax = 100;

export function factFinder(finds: FactFinds, graph: GraphStore): FactFinder {
  async function around(tenantId: string, question: string, point: FactsPoint) {
    const grams = nameGrams(question);
    if (grams.length === 0) return [];
    const { groupIds, validAt, recordedAt } = point;
    const named = await finds.named(tenantId, groupIds, grams, namedMax);
    const limits = { depthMax, edgesMax: aroundMax };
    const walks = await Promise.all(
      named.map(({ groupId, entityId }) =>
        graph.walk(tenantId, { groupId, validAt, recordedAt }, entityId, limits),
      ),
    );
    return walks.flat();
  }

  return {
    async candidates(tenantId, question, point) {
      const latest = await finds.latest(tenantId, point, latestMax);
      // Where none holds at the point there is none around anything either.
      if (latest.length === 0) return [];
      const near = await around(tenantId, question, point);
      const facts = new Map<string, { fact: StoredFact; graph: number }>();
      const keyOf = ({ factId, from }: StoredFact) => `${factId} ${from}`;
      for (const fact of latest) facts.set(keyOf(fact), { fact, graph: 0 });
      for (const { fact, depth } of near) {
        const known = facts.get(keyOf(fact))?.graph ?? 0;
        facts.set(keyOf(fact), { fact, graph: Math.max(known, 1 / depth) });
      }
      const found = [...facts.values()];
      const [names, episodes] = await Promise.all([
        finds.names(tenantId, [...new Set(found.flatMap(({ fact }) => endsOf(fact)))]),
        finds.episodes(tenantId, [...new Set(found.flatMap(({ fact }) => fact.claimIds))]),
      ]);
      return found.map(({ fact, graph: nearness }) => ({
        fact,
        text: toldFact(fact, names),
        episodeIds: [...new Set(fact.claimIds.flatMap((id) => episodes.get(id) ?? []))],
        graph: nearness,
      }));
    },
  };
}

/** Whatever in a question may be a name: up to four words in a row, as names are compared. */
export function nameGrams(question: string): readonly string[] {
  const words = foldedName(question)
    .split(" ")
    .slice(0, questionWordsMax)
    .map((word) => word.replaceAll(/^[^\p{L}\p{N}]+|(?:['’]s)?[^\p{L}\p{N}]*$/gu, ""))
    .filter((word) => word !== "");
  return words.flatMap((_, from) =>
    Array.from({ length: Math.min(nameWordsMax, words.length - from) }, (__, more) =>
      words.slice(from, from + more + 1).join(" "),
    ),
  );
}

/** The customer has no name of his own among the group's entities. */
const customer = "Customer";

function toldFact(
  { subject, predicate, value, groupId }: StoredFact,
  names: ReadonlyMap<string, string>,
): string {
  const nameOf = (id: string) => names.get(id) ?? (id === groupId ? customer : id);
  const told = value.kind === "entity" ? nameOf(value.id) : plain(value.json);
  return `${nameOf(subject)} ${predicate.replaceAll(/[_.]/g, " ")} ${told}`;
}

function plain(json: unknown): string {
  return typeof json === "string" ? json : JSON.stringify(json);
}
