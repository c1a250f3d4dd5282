import { setImmediate } from "node:timers/promises";
import { packedVectorIndex } from "@soldier/retrieval/vectors";
import { type Episode, searchableText } from "../domain/episode.ts";
import type { GroupChange, GroupNews } from "../store/episode-store.ts";
import { type Lexicon, lexicon } from "./lexicon.ts";
import { lexicalWords } from "./words.ts";

/**
 * All episodes of one group, ready to be searched exactly: by place, in the order in which they
 * were stored. It only grows, by the group's changes.
 */
export interface GroupIndex {
  readonly groupId: string;
  /** Every change up to here is in it. */
  readonly revision: number;
  readonly episodes: readonly Episode[];
  readonly lexicon: Lexicon;
  /** Places of each session's episodes in the order in which things were said. */
  readonly sessions: ReadonlyMap<string, readonly number[]>;
  /** Estimate of what it holds in memory. */
  readonly sizeBytes: number;
  /** Takes news in; what it has already is passed over. Gives way to other work in between. */
  extend(news: Omit<GroupNews, "groupId">): Promise<void>;
  hasVector(place: number): boolean;
  /** The cosine of each episode with the query; 0 for one without a vector. */
  similarities(query: Float32Array): Float32Array;
}

/** Changes taken in at a stretch: a few milliseconds of work. */
const stretch = 128;
/** An episode's object, ids and dates, without its text. */
const episodeBytes = 700;

export function groupIndex(groupId: string, dimensions: number): GroupIndex {
  const episodes: Episode[] = [];
  const places = new Map<string, number>();
  const sessions = new Map<string, number[]>();
  const words = lexicon();
  let vectors = new Float32Array(0); // one row per place, zeros until it is embedded
  const embedded: boolean[] = [];
  let revision = 0;
  let textBytes = 0;

  function addEpisode(episode: Episode): void {
    const place = episodes.push(episode) - 1;
    places.set(episode.id, place);
    embedded.push(false);
    words.add(lexicalWords(searchableText(episode)));
    if (episode.sessionId !== "") addToSession(episode.sessionId, place);
    textBytes += 2 * episode.text.length;
    if (episodes.length * dimensions > vectors.length) {
      const grown = new Float32Array(Math.max(16, episodes.length * 1.5) * dimensions);
      grown.set(vectors);
      vectors = grown;
    }
  }

  /** Nearly always at the end; a turn that was delivered late goes where it belongs. */
  function addToSession(sessionId: string, place: number): void {
    const session = sessions.get(sessionId) ?? [];
    let at = session.length;
    while (at > 0 && saidAt(session[at - 1]) > saidAt(place)) at--;
    session.splice(at, 0, place);
    sessions.set(sessionId, session);
  }

  function saidAt(place: number | undefined): number {
    return episodes[place ?? -1]?.occurredAt.getTime() ?? 0;
  }

  function addVector(episodeId: string, vector: Float32Array): void {
    const place = places.get(episodeId);
    if (place === undefined || vector.length !== dimensions) return;
    vectors.set(vector, place * dimensions);
    embedded[place] = true;
  }

  function apply(change: GroupChange): void {
    if (change.revision <= revision) return;
    if (change.kind === "episode") addEpisode(change.episode);
    else addVector(change.episodeId, change.vector);
    revision = change.revision;
  }

  return {
    groupId,
    episodes,
    lexicon: words,
    sessions,
    get revision() {
      return revision;
    },
    get sizeBytes() {
      return (
        vectors.byteLength + words.sizeBytes + textBytes + episodes.length * episodeBytes + 1_000
      );
    },
    async extend({ changes, revision: upTo }) {
      for (let start = 0; start < changes.length; start += stretch) {
        if (start > 0) await setImmediate();
        for (const change of changes.slice(start, start + stretch)) apply(change);
      }
      revision = Math.max(revision, upTo);
    },
    hasVector: (place) => embedded[place] ?? false,
    similarities(query) {
      const rows = vectors.subarray(0, episodes.length * dimensions);
      return packedVectorIndex(rows, dimensions).similarities(query);
    },
  };
}
