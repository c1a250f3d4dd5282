import type { FoundEpisode, TenantCandidates, TenantFinds } from "../store/tenant-finds.ts";
import { type GroupIndex, groupIndex } from "./group-index.ts";
import type { HeldWords } from "./lexicon.ts";
import type { EpisodeQuery } from "./rank-episodes.ts";
import { lexicalWords } from "./words.ts";

/** What of a whole tenant is worth ranking. */
export interface TenantExcerpt {
  /** Of each group that has any, the candidates and what was said beside them. */
  readonly groups: readonly GroupIndex[];
  readonly held: HeldWords;
  readonly partial: boolean;
}

export interface TenantGroups {
  /** Whether the whole of a tenant can be searched here. */
  ready(): Promise<boolean>;
  excerpt(tenantId: string, query: Omit<EpisodeQuery, "tokensMax">): Promise<TenantExcerpt>;
}

/** Candidates by their vectors, however few hits are asked for: what was said beside them ranks them. */
const wantedMin = 50;
/** Words of a question that are looked for: the longest, which are the rarest. */
const wordsMax = 24;
/** What share of the episodes is taken to have a word that is had by more than are counted, or that nobody indexes. */
const shareOfMany = 0.003;
const shareOfUnknown = 0.1;

export function tenantGroups(
  finds: TenantFinds,
  embedder: { readonly model: string; readonly dimensions: number },
): TenantGroups {
  const { model, dimensions } = embedder;
  return {
    ready: () => finds.ready(),

    async excerpt(tenantId, query) {
      const words = askedWords(query.text);
      const candidates = await finds.candidates(tenantId, {
        model,
        vector: query.vector,
        words,
        happenedBy: query.isNow ? undefined : query.validAt,
        recordedBy: query.recordedAt,
        exceptSessionId: query.exceptSessionId,
        wanted: Math.max(wantedMin, query.hitsMax),
      });
      const found = await finds.withNeighbours(tenantId, model, candidates.episodeIds);
      return {
        groups: await groupsOf(found, dimensions),
        held: heldWords(words, candidates),
        partial: candidates.partial,
      };
    },
  };
}

function askedWords(text: string): readonly string[] {
  const words = new Set(text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu));
  return [...words].toSorted((a, b) => b.length - a.length).slice(0, wordsMax);
}

/** How often the stems of the words are had. */
function heldWords(
  words: readonly string[],
  { holders, episodesCount }: TenantCandidates,
): HeldWords {
  const having = new Map<string, number>();
  words.forEach((word, i) => {
    const held = holders[i] ?? "unknown";
    const count = typeof held === "number" ? held : episodesCount * shares[held];
    for (const stem of lexicalWords(word)) having.set(stem, Math.max(count, having.get(stem) ?? 0));
  });
  return { count: episodesCount, having };
}

const shares = { many: shareOfMany, unknown: shareOfUnknown };

/** From episodes in the order of their groups. */
async function groupsOf(
  found: readonly FoundEpisode[],
  dimensions: number,
): Promise<readonly GroupIndex[]> {
  const groups: GroupIndex[] = [];
  for (const { episode, vector } of found) {
    let group = groups.at(-1);
    if (group?.groupId !== episode.groupId) {
      group = groupIndex(episode.groupId, dimensions);
      groups.push(group);
    }
    const revision = group.revision + 1;
    await group.extend({
      revision: revision + 1,
      changes: [
        { kind: "episode", revision, episode },
        ...(vector
          ? [{ kind: "vector" as const, revision: revision + 1, episodeId: episode.id, vector }]
          : []),
      ],
    });
  }
  return groups;
}
