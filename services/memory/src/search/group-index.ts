import { setImmediate } from "node:timers/promises";
import { packedVectorIndex, type VectorIndex } from "@soldier/retrieval/vectors";
import { type Episode, namedSpeaker, searchableText } from "../domain/episode.ts";
import type { GroupChange, GroupNews, HeldBeside } from "../store/episode-store.ts";
import { tellsTime } from "./asked-times.ts";
import { type Lexicon, lexicon } from "./lexicon.ts";
import { lexicalWords } from "./words.ts";

/**
 * All episodes of one group, ready to be searched exactly: by place, in the order in which they
 * were stored. It only grows, by the group's changes.
 */
export interface GroupIndex extends Required<HeldBeside> {
  readonly groupId: string;
  /** Every change up to here is in it. */
  readonly revision: number;
  readonly episodes: readonly Episode[];
  readonly lexicon: Lexicon;
  /** Places of each session's episodes in the order in which things were said. */
  readonly sessions: ReadonlyMap<string, readonly number[]>;
  /** Of each place the number of its session in the order of `sessions`, -1 for none. */
  readonly sessionOf: readonly number[];
  /** When it happened, in milliseconds. */
  readonly occurredMs: readonly number[];
  /** Everybody who speaks by name, and of each place who does, -1 for nobody. */
  readonly speakers: readonly string[];
  readonly speakerOf: readonly number[];
  /** Whether it asks something, and whether it says when something was or will be. */
  readonly asks: readonly boolean[];
  readonly tellsTime: readonly boolean[];
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
/** Vectors lie in blocks of so many rows: all of one size, they leave no gaps behind in the process's memory. */
const blockRows = 32;

interface Block {
  /** One for each place, zeros until it is embedded. */
  readonly rows: Float32Array;
  readonly index: VectorIndex;
}

export function groupIndex(groupId: string, dimensions: number): GroupIndex {
  const episodes: Episode[] = [];
  const places = new Map<string, number>();
  const sessions = new Map<string, number[]>();
  const sessionOf: number[] = [];
  const sessionNumbers = new Map<string, number>();
  const occurredMs: number[] = [];
  const speakers: string[] = [];
  const speakerNumbers = new Map<string, number>();
  const speakerOf: number[] = [];
  const asks: boolean[] = [];
  const timeTold: boolean[] = [];
  const words = lexicon();
  const blocks: Block[] = [];
  const embedded: boolean[] = [];
  let revision = 0;
  let [hasFacts, hasSummaries] = [false, false];
  let textBytes = 0;

  function addEpisode(episode: Episode): void {
    const place = episodes.push(episode) - 1;
    places.set(episode.id, place);
    if (place % blockRows === 0) {
      const rows = new Float32Array(blockRows * dimensions);
      blocks.push({ rows, index: packedVectorIndex(rows, dimensions) });
    }
    embedded.push(false);
    words.add(lexicalWords(searchableText(episode)));
    occurredMs.push(episode.occurredAt.getTime());
    speakerOf.push(speakerNumber(namedSpeaker(episode.text)));
    asks.push(/[?？؟]/.test(episode.text));
    timeTold.push(tellsTime(episode.text));
    sessionOf.push(addToSession(episode.sessionId, place));
    textBytes += 2 * episode.text.length;
  }

  function speakerNumber(name: string): number {
    if (name === "") return -1;
    const number = speakerNumbers.get(name) ?? speakers.push(name) - 1;
    speakerNumbers.set(name, number);
    return number;
  }

  /** Nearly always at the end; a turn that was delivered late goes where it belongs. */
  function addToSession(sessionId: string, place: number): number {
    if (sessionId === "") return -1;
    const session = sessions.get(sessionId) ?? [];
    let at = session.length;
    while (at > 0 && saidAt(session[at - 1]) > saidAt(place)) at--;
    session.splice(at, 0, place);
    sessions.set(sessionId, session);
    const number = sessionNumbers.get(sessionId) ?? sessionNumbers.size;
    sessionNumbers.set(sessionId, number);
    return number;
  }

  function saidAt(place: number | undefined): number {
    return occurredMs[place ?? -1] ?? 0;
  }

  function addVector(episodeId: string, vector: Float32Array): void {
    const place = places.get(episodeId);
    if (place === undefined || vector.length !== dimensions) return;
    blocks[Math.floor(place / blockRows)]?.rows.set(vector, (place % blockRows) * dimensions);
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
    sessionOf,
    occurredMs,
    speakers,
    speakerOf,
    asks,
    tellsTime: timeTold,
    get revision() {
      return revision;
    },
    get hasFacts() {
      return hasFacts;
    },
    get hasSummaries() {
      return hasSummaries;
    },
    get sizeBytes() {
      const vectorBytes = blocks.length * blockRows * dimensions * Float32Array.BYTES_PER_ELEMENT;
      return vectorBytes + words.sizeBytes + textBytes + episodes.length * episodeBytes + 1_000;
    },
    async extend({ changes, revision: upTo, ...beside }) {
      for (let start = 0; start < changes.length; start += stretch) {
        if (start > 0) await setImmediate();
        for (const change of changes.slice(start, start + stretch)) apply(change);
      }
      revision = Math.max(revision, upTo);
      hasFacts ||= beside.hasFacts ?? false;
      hasSummaries ||= beside.hasSummaries ?? false;
    },
    hasVector: (place) => embedded[place] ?? false,
    similarities(query) {
      const all = new Float32Array(blocks.length * blockRows);
      for (const [at, { index }] of blocks.entries())
        all.set(index.similarities(query), at * blockRows);
      return all.subarray(0, episodes.length);
    },
  };
}
