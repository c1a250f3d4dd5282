/** Postings of one word: the texts that have it, ascending, and how often. */
interface Postings {
  readonly texts: number[];
  readonly counts: number[];
}

/**
 * The words of a growing list of texts. Unlike a finished BM25 index it takes another text at the
 * cost of that text alone, and its statistics can be taken over a part of the texts: a search as of
 * an earlier time must not feel what came later.
 */
export interface Lexicon {
  readonly size: number;
  readonly postings: ReadonlyMap<string, Postings>;
  /** Words of each text, repeated ones counted. */
  readonly lengths: readonly number[];
  /** Estimate. */
  readonly sizeBytes: number;
  add(words: readonly string[]): void;
}

export function lexicon(): Lexicon {
  const postings = new Map<string, Postings>();
  const lengths: number[] = [];
  let sizeBytes = 0;
  return {
    postings,
    lengths,
    get size() {
      return lengths.length;
    },
    get sizeBytes() {
      return sizeBytes;
    },
    add(words) {
      const text = lengths.length;
      for (const word of words) {
        let found = postings.get(word);
        if (!found) {
          found = { texts: [], counts: [] };
          postings.set(word, found);
          sizeBytes += wordBytes + 2 * word.length;
        }
        const last = found.texts.length - 1;
        if (found.texts[last] === text) {
          found.counts[last] = (found.counts[last] ?? 0) + 1;
          continue;
        }
        found.texts.push(text);
        found.counts.push(1);
        sizeBytes += postingBytes;
      }
      lengths.push(words.length);
    },
  };
}

/** A map entry with its word and two arrays. */
const wordBytes = 200;
/** Two small integers in arrays that grow by half. */
const postingBytes = 12;

/** A lexicon and which of its texts count, 1 or 0 each. */
export interface VisibleTexts {
  readonly texts: Lexicon;
  readonly visible: Uint8Array;
}

/** How often words are had by more than the lists that are searched: these are what was found by them. */
export interface HeldWords {
  /** Texts in all. */
  readonly count: number;
  /** Of each word the texts that have it, about. */
  readonly having: ReadonlyMap<string, number>;
}

/** How fast repeating a word stops to count. */
const k1 = 1.2;
/** How much long texts are held back, 0 to 1. */
const b = 0.75;

/** What a word that is so often in a text counts there, as a share of its weight times k1 + 1. */
export function saturated(times: number, length: number, lengthMean: number): number {
  return times / (times + k1 * (1 - b + (b * length) / lengthMean));
}

/**
 * The BM25 score of each visible text, as a share of what a text could score that is about nothing
 * but the query; 0 elsewhere. The lists are searched as if they were one list that holds only
 * what is visible. A word that none of them has counts as the rarest. With `held` how rare a word is
 * comes from there.
 */
export function bm25Shares(
  lists: readonly VisibleTexts[],
  words: readonly string[],
  held?: HeldWords,
): readonly Float32Array[] {
  const scores = lists.map(({ texts: { size } }) => new Float32Array(size));
  const { count, lengthMean } = extent(lists);
  let possible = 0;
  for (const word of new Set(words)) {
    const weight = held ? heldWeight(held, word) : inverseFrequency(count, frequency(lists, word));
    possible += weight;
    lists.forEach(({ texts, visible }, list) => {
      const found = texts.postings.get(word);
      const into = scores[list];
      if (!found || !into) return;
      for (let i = 0; i < found.texts.length; i++) {
        const text = found.texts[i] ?? 0;
        if (!visible[text]) continue;
        const share = saturated(found.counts[i] ?? 0, texts.lengths[text] ?? 0, lengthMean);
        into[text] = (into[text] ?? 0) + weight * share;
      }
    });
  }
  if (possible > 0)
    for (const list of scores)
      for (let i = 0; i < list.length; i++) list[i] = (list[i] ?? 0) / possible;
  return scores;
}

/** How many texts are visible, and their words on average. */
export function extent(lists: readonly VisibleTexts[]): { count: number; lengthMean: number } {
  let count = 0;
  let length = 0;
  for (const { texts, visible } of lists) {
    for (let text = 0; text < texts.size; text++) {
      if (!visible[text]) continue;
      count++;
      length += texts.lengths[text] ?? 0;
    }
  }
  return { count, lengthMean: length / (count || 1) || 1 };
}

/** How many visible texts have the word. */
function frequency(lists: readonly VisibleTexts[], word: string): number {
  let having = 0;
  for (const { texts, visible } of lists)
    for (const text of texts.postings.get(word)?.texts ?? []) having += visible[text] ?? 0;
  return having;
}

export function heldWeight({ count, having }: HeldWords, word: string): number {
  return inverseFrequency(count, Math.min(count, having.get(word) ?? 0));
}

/** Never negative, so that a word in most texts still counts for a little. */
export function inverseFrequency(count: number, having: number): number {
  return Math.log(1 + (count - having + 0.5) / (having + 0.5));
}
