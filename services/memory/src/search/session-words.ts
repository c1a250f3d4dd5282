import {
  type HeldWords,
  heldWeight,
  inverseFrequency,
  saturated,
  type VisibleTexts,
} from "./lexicon.ts";

/** A list whose texts belong to sessions. */
export interface SessionTexts extends VisibleTexts {
  /** Of each text the number of its session, -1 for none. */
  readonly sessionOf: readonly number[];
  readonly sessionsCount: number;
}

/**
 * The BM25 score of each session, taken as one text of what is visible of it, as a share of what a
 * session could score that is about nothing but the query: who asks for several things finds them
 * together in the conversation where they were spoken of, though in no single turn.
 */
export function sessionShares(
  lists: readonly SessionTexts[],
  words: readonly string[],
  everywhere?: HeldWords,
): readonly Float32Array[] {
  const lengths = lists.map(lengthsOf);
  const held = lengths.flatMap((each) => [...each].filter((length) => length > 0));
  const { count, lengthMean } = {
    count: held.length,
    lengthMean: held.reduce((sum, length) => sum + length, 0) / (held.length || 1) || 1,
  };
  const shares = lists.map(({ sessionsCount }) => new Float32Array(sessionsCount));
  let possible = 0;
  for (const word of new Set(words)) {
    const counts = lists.map((list) => countsOf(list, word));
    const having = counts.reduce(
      (sum, each) => sum + each.reduce((n, c) => n + (c > 0 ? 1 : 0), 0),
      0,
    );
    const weight = everywhere ? heldWeight(everywhere, word) : inverseFrequency(count, having);
    possible += weight;
    counts.forEach((each, list) => {
      const into = shares[list];
      if (!into) return;
      for (let session = 0; session < each.length; session++) {
        const times = each[session] ?? 0;
        if (times > 0)
          into[session] =
            (into[session] ?? 0) +
            weight * saturated(times, lengths[list]?.[session] ?? 0, lengthMean);
      }
    });
  }
  if (possible > 0)
    for (const each of shares)
      for (let i = 0; i < each.length; i++) each[i] = (each[i] ?? 0) / possible;
  return shares;
}

/** Visible words of each session. */
function lengthsOf({ texts, visible, sessionOf, sessionsCount }: SessionTexts): Float32Array {
  const lengths = new Float32Array(sessionsCount);
  for (let text = 0; text < texts.size; text++) {
    const session = sessionOf[text] ?? -1;
    if (session >= 0 && visible[text])
      lengths[session] = (lengths[session] ?? 0) + (texts.lengths[text] ?? 0);
  }
  return lengths;
}

/** How often each session has the word. */
function countsOf(
  { texts, visible, sessionOf, sessionsCount }: SessionTexts,
  word: string,
): Float32Array {
  const counts = new Float32Array(sessionsCount);
  const found = texts.postings.get(word);
  if (!found) return counts;
  for (let i = 0; i < found.texts.length; i++) {
    const text = found.texts[i] ?? 0;
    const session = sessionOf[text] ?? -1;
    if (session >= 0 && visible[text])
      counts[session] = (counts[session] ?? 0) + (found.counts[i] ?? 0);
  }
  return counts;
}
