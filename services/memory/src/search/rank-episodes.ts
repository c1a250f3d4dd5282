import type { Episode } from "../domain/episode.ts";
import { contextOf } from "./context.ts";
import { type CueWeights, cuesOf } from "./cues.ts";
import type { GroupIndex } from "./group-index.ts";
import { bm25Shares, type HeldWords } from "./lexicon.ts";
import { sessionShares } from "./session-words.ts";
import { lexicalWords } from "./words.ts";

/** What counts how much; they need not add up to 1. */
export interface SearchWeights extends CueWeights {
  /** Meaning and words: an episode's own score is their mean. */
  readonly vector: number;
  readonly bm25: number;
  /** Beside its own score, which counts 1: the better of what was said right before and after. */
  readonly neighbours: number;
  /** And how well its session fits: the mean of the best three scores in it. */
  readonly session: number;
  /** And how many of the words its session has, all turns together. */
  readonly sessionWords: number;
  /** And the question right before it, as far as it is alike. */
  readonly asked: number;
  /** By so much a score rises that has a fact about what the question names; see EpisodeQuery.graph. */
  readonly graph: number;
}

/**
 * What has no setting: chosen, as are the settings' defaults, so that conversations are found that
 * were left out of the choosing (docs/quality.md). 0.6 or 1.6 times any one does nearly as well.
 */
export const cueWeights = {
  sessionWords: 0.3,
  asked: 0.3,
  substance: 0.6,
  time: 0.25,
  speaker: 0.3,
  /** Only where facts are asked for beside episodes; small, since no data has chosen it. */
  graph: 0.2,
} as const;

export interface EpisodeQuery {
  readonly text: string;
  /** Undefined when it could not be had: words alone must do. */
  readonly vector: Float32Array | undefined;
  readonly hitsMax: number;
  /** Tokens of text in all; undefined for no limit. */
  readonly tokensMax: number | undefined;
  /** Only what had happened by then. */
  readonly validAt: Date;
  /** That is now: nothing is hidden, since it may have been said by a clock that is ahead of ours. */
  readonly isNow?: boolean;
  /** Only what was stored by then; undefined for everything. */
  readonly recordedAt: Date | undefined;
  /** Empty for none. */
  readonly exceptSessionId: string;
  /** By episode: how near a fact that was said there is to what is asked for, 0 to 1. */
  readonly graph?: ReadonlyMap<string, number>;
  /** Where the groups hold no more than what was found already: how rare the words are in truth. */
  readonly held?: HeldWords;
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
  const texts = searched.map(({ group, visible }) => ({
    texts: group.lexicon,
    visible,
    sessionOf: group.sessionOf,
    sessionsCount: group.sessions.size,
  }));
  const lexical = bm25Shares(texts, words, query.held);
  const together = sessionShares(texts, words, query.held);
  const hits = searched.flatMap(({ group, visible }, i) => {
    const bm25 = lexical[i] ?? new Float32Array(group.episodes.length);
    const sessionWords = together[i] ?? new Float32Array(group.sessions.size);
    return best(group, visible, query, { bm25, sessionWords }, weights);
  });
  const ranked = hits.toSorted(order).slice(0, query.hitsMax);
  return withinTokens(ranked, ({ episode }) => episode.text, query.tokensMax).map((hit) => ({
    ...hit,
    score: stretched(hit.score),
  }));
}

/**
 * Brings scores to the scale that thresholds are on. Cosines and shares of BM25 are far below 1 for
 * the best of matches: on dialogues, nine in ten of the episodes that answer a question have a
 * weighted mean over 0.18, which becomes 0.42. The order stays.
 */
export function stretched(score: number): number {
  return 1 - Math.exp(-3 * score);
}

function visibleIn(group: GroupIndex, query: EpisodeQuery): Uint8Array {
  const visible = new Uint8Array(group.episodes.length).fill(1);
  const { recordedAt, validAt } = query;
  // Looked at only when asked for: it is an object for each episode.
  if (recordedAt)
    group.episodes.forEach((episode, place) => {
      if (episode.recordedAt > recordedAt) visible[place] = 0;
    });
  if (!query.isNow)
    for (let place = 0; place < visible.length; place++)
      if ((group.occurredMs[place] ?? Infinity) > validAt.getTime()) visible[place] = 0;
  for (const place of group.sessions.get(query.exceptSessionId) ?? []) visible[place] = 0;
  return visible;
}

/** The best of one group, at most hitsMax, in no order. */
function best(
  group: GroupIndex,
  visible: Uint8Array,
  query: EpisodeQuery,
  { bm25, sessionWords }: { readonly bm25: Float32Array; readonly sessionWords: Float32Array },
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
  const { neighbours, asked, session } = contextOf(group, own);
  const cues = cuesOf(group, visible, query.text, query.validAt);
  // A cue for which there is nothing leaves a score as it is; only substance is had by all.
  const whole =
    (1 + weights.neighbours + weights.session + weights.sessionWords + weights.asked) *
    (1 + weights.substance);
  const hits: EpisodeHit[] = [];
  let worst = 0;
  for (let place = 0; place < own.length; place++) {
    if (!visible[place]) continue;
    const words = sessionWords[group.sessionOf[place] ?? -1] ?? 0;
    const alike =
      (own[place] ?? 0) +
      weights.neighbours * (neighbours[place] ?? 0) +
      weights.session * (session[place] ?? 0) +
      weights.sessionWords * words +
      weights.asked * (asked[place] ?? 0);
    if (alike <= 0) continue;
    const graph = query.graph?.get(group.episodes[place]?.id ?? "") ?? 0;
    const score =
      (alike / whole) *
      (1 + weights.substance * (cues.substance[place] ?? 0)) *
      (1 + weights.time * (cues.time[place] ?? 0)) *
      (1 + weights.time * (cues.tells[place] ?? 0)) *
      (1 + weights.speaker * (cues.speaker[place] ?? 0)) *
      (1 + weights.graph * graph);
    if (score < worst) continue;
    const episode = group.episodes[place];
    if (!episode) continue;
    const parts = {
      ...(vector && group.hasVector(place) && { vector: vector[place] ?? 0 }),
      bm25: bm25[place] ?? 0,
      neighbours: neighbours[place] ?? 0,
      session: session[place] ?? 0,
      session_words: words,
      asked: asked[place] ?? 0,
      substance: cues.substance[place] ?? 0,
      time: Math.max(cues.time[place] ?? 0, cues.tells[place] ?? 0),
      speaker: cues.speaker[place] ?? 0,
      ...(query.graph && { graph }),
    };
    insert(hits, { episode, score, parts }, query.hitsMax);
    if (hits.length === query.hitsMax) worst = hits.at(-1)?.score ?? 0;
  }
  return hits;
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
export function withinTokens<Hit>(
  hits: readonly Hit[],
  textOf: (hit: Hit) => string,
  tokensMax: number | undefined,
): readonly Hit[] {
  if (tokensMax === undefined) return hits;
  let left = tokensMax;
  return hits.filter((hit) => {
    const tokens = tokensIn(textOf(hit));
    if (tokens > left) return false;
    left -= tokens;
    return true;
  });
}

/** An estimate that errs upwards for English: four characters of UTF-8 make a token. */
export function tokensIn(text: string): number {
  return Math.ceil(Buffer.byteLength(text, "utf8") / 4);
}
