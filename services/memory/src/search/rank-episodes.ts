import type { Episode } from "../domain/episode.ts";
import type { GroupIndex } from "./group-index.ts";
import { bm25Shares } from "./lexicon.ts";
import { lexicalWords } from "./words.ts";

/** What counts how much; they need not add up to 1. */
export interface SearchWeights {
  /** Meaning and words: an episode's own score is their mean. */
  readonly vector: number;
  readonly bm25: number;
  /** Beside its own score, which counts 1: the better of what was said right before and after. */
  readonly neighbours: number;
  /** And how well its session fits: the mean of the best three scores in it. */
  readonly session: number;
}

export interface EpisodeQuery {
  readonly text: string;
  /** Undefined when it could not be had: words alone must do. */
  readonly vector: Float32Array | undefined;
  readonly hitsMax: number;
  /** Tokens of text in all; undefined for no limit. */
  readonly tokensMax: number | undefined;
  /** Only what had happened by then. */
  readonly validAt: Date;
  /** Only what was stored by then; undefined for everything. */
  readonly recordedAt: Date | undefined;
  /** Empty for none. */
  readonly exceptSessionId: string;
}

export interface EpisodeHit {
  readonly episode: Episode;
  /** 0 to 1. */
  readonly score: number;
  readonly parts: Readonly<Record<string, number>>;
}

/**
 * The best episodes of the groups, best first. Of equal scores the latest comes first; time counts
 * for nothing else. What a filter hides leaves no trace in any score.
 */
export function rankEpisodes(
  groups: readonly GroupIndex[],
  query: EpisodeQuery,
  weights: SearchWeights,
): readonly EpisodeHit[] {
  const searched = groups.map((group) => ({ group, visible: visibleIn(group, query) }));
  const words = lexicalWords(query.text);
  const lexical = bm25Shares(
    searched.map(({ group, visible }) => ({ texts: group.lexicon, visible })),
    words,
  );
  const hits = searched.flatMap(({ group, visible }, i) => {
    const bm25 = lexical[i] ?? new Float32Array(group.episodes.length);
    return best(group, visible, query, bm25, weights);
  });
  const ranked = hits.toSorted(order).slice(0, query.hitsMax);
  return withinTokens(ranked, query.tokensMax).map((hit) => ({
    ...hit,
    score: stretched(hit.score),
  }));
}

/**
 * Brings scores to the scale that thresholds are on. Cosines and shares of BM25 are far below 1 for
 * the best of matches: on dialogues, nine in ten of the episodes that answer a question have a
 * weighted mean over 0.18, which becomes 0.42. The order stays.
 */
function stretched(score: number): number {
  return 1 - Math.exp(-3 * score);
}

function visibleIn(group: GroupIndex, query: EpisodeQuery): Uint8Array {
  const validAt = query.validAt.getTime();
  const recordedAt = query.recordedAt?.getTime() ?? Infinity;
  return Uint8Array.from(group.episodes, (episode) =>
    episode.occurredAt.getTime() <= validAt &&
    episode.recordedAt.getTime() <= recordedAt &&
    (query.exceptSessionId === "" || episode.sessionId !== query.exceptSessionId)
      ? 1
      : 0,
  );
}

/** The best of one group, at most hitsMax, in no order. */
function best(
  group: GroupIndex,
  visible: Uint8Array,
  query: EpisodeQuery,
  bm25: Float32Array,
  weights: SearchWeights,
): readonly EpisodeHit[] {
  const vector = query.vector ? group.similarities(query.vector) : undefined;
  const own = new Float32Array(visible.length);
  for (let place = 0; place < own.length; place++) {
    if (!visible[place]) continue;
    const lexical = bm25[place] ?? 0;
    // An episode that has no vector yet is judged by its words alone, not as unlike the query.
    own[place] =
      vector && group.hasVector(place)
        ? (weights.vector * Math.max(0, vector[place] ?? 0) + weights.bm25 * lexical) /
          (weights.vector + weights.bm25)
        : lexical;
  }
  const near = context(group, own);
  const whole = 1 + weights.neighbours + weights.session;
  const hits: EpisodeHit[] = [];
  let worst = 0;
  for (let place = 0; place < own.length; place++) {
    const neighbours = near.neighbours[place] ?? 0;
    const session = near.session[place] ?? 0;
    const score =
      ((own[place] ?? 0) + weights.neighbours * neighbours + weights.session * session) / whole;
    if (!visible[place] || score <= 0 || score < worst) continue;
    const episode = group.episodes[place];
    if (!episode) continue;
    const cosine = vector && group.hasVector(place) && { vector: vector[place] ?? 0 };
    const parts = { bm25: bm25[place] ?? 0, neighbours, session, ...cosine };
    insert(hits, { episode, score, parts }, query.hitsMax);
    if (hits.length === query.hitsMax) worst = hits.at(-1)?.score ?? 0;
  }
  return hits;
}

/** What the rest of an episode's session says for it. What is hidden has scored 0. */
function context(group: GroupIndex, own: Float32Array) {
  const neighbours = new Float32Array(own.length);
  const session = new Float32Array(own.length);
  for (const places of group.sessions.values()) {
    const top = [0, 0, 0];
    for (const place of places) keepBest(top, own[place] ?? 0);
    const fit = top.reduce((sum, score) => sum + score, 0) / top.length;
    places.forEach((place, i) => {
      const before = own[places[i - 1] ?? -1] ?? 0;
      const after = own[places[i + 1] ?? -1] ?? 0;
      neighbours[place] = Math.max(before, after);
      session[place] = fit;
    });
  }
  return { neighbours, session };
}

/** Replaces the lowest of a descending list if the score is higher. */
function keepBest(top: number[], score: number): void {
  let at = top.length;
  while (at > 0 && score > (top[at - 1] ?? Infinity)) at--;
  if (at === top.length) return;
  top.splice(at, 0, score);
  top.pop();
}

/** Into a short sorted list: nearly all candidates have failed before they come here. */
function insert(hits: EpisodeHit[], hit: EpisodeHit, hitsMax: number): void {
  let at = hits.length;
  while (at > 0 && order(hit, hits[at - 1] ?? hit) < 0) at--;
  hits.splice(at, 0, hit);
  if (hits.length > hitsMax) hits.pop();
}

function order(a: EpisodeHit, b: EpisodeHit): number {
  return (
    b.score - a.score ||
    b.episode.occurredAt.getTime() - a.episode.occurredAt.getTime() ||
    (a.episode.id < b.episode.id ? -1 : 1)
  );
}

/** The hits that fit, the best first; one that does not is passed over for a shorter one. */
function withinTokens(
  hits: readonly EpisodeHit[],
  tokensMax: number | undefined,
): readonly EpisodeHit[] {
  if (tokensMax === undefined) return hits;
  let left = tokensMax;
  return hits.filter(({ episode }) => {
    const tokens = tokensIn(episode.text);
    if (tokens > left) return false;
    left -= tokens;
    return true;
  });
}

/** An estimate that errs upwards for English: four characters of UTF-8 make a token. */
export function tokensIn(text: string): number {
  return Math.ceil(Buffer.byteLength(text, "utf8") / 4);
}
