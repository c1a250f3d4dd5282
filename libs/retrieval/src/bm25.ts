import { tokenize } from "./tokenize.ts";

export interface Bm25Options {
  /** How fast repeating a word stops to count. Default 1.2. */
  readonly k1?: number;
  /** How much long texts are held back, 0 to 1. Default 0.75. */
  readonly b?: number;
  readonly tokenize?: (text: string) => readonly string[];
}

/** Lexical search over a fixed list of texts; immutable once built. */
export interface Bm25Index {
  /** How many texts there are. */
  readonly size: number;
  /** The BM25 score of each text, in the order of the texts; 0 where no word is shared. */
  scores(query: string): Float32Array;
  /**
   * The same scores as shares, 0 to 1, of what a text could score that is about nothing but the
   * query. They compare across queries, unlike shares of the best score found, which would make some
   * text a full match for any query. A word of the query that no text has counts as the rarest word.
   */
  normalisedScores(query: string): Float32Array;
}

/**
 * Postings are two flat arrays, grouped by term: everything about a text and a term that does not
 * depend on the query is multiplied out when the index is built, so that a query only adds.
 */
export function bm25Index(texts: readonly string[], options: Bm25Options = {}): Bm25Index {
  const k1 = options.k1 ?? 1.2;
  const b = options.b ?? 0.75;
  const words = options.tokenize ?? tokenize;

  const counted = texts.map((text) => {
    const counts = new Map<string, number>();
    let length = 0;
    for (const word of words(text)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      length++;
    }
    return { counts, length };
  });
  const lengthMean =
    counted.reduce((sum, { length }) => sum + length, 0) / (texts.length || 1) || 1;

  const terms = new Map<string, { postings: number; start: number; idf: number }>();
  for (const { counts } of counted) {
    for (const word of counts.keys()) {
      const term = terms.get(word);
      if (term) term.postings++;
      else terms.set(word, { postings: 1, start: 0, idf: 0 });
    }
  }
  let postingsTotal = 0;
  for (const term of terms.values()) {
    term.idf = idf(texts.length, term.postings);
    term.start = postingsTotal;
    postingsTotal += term.postings;
    term.postings = 0; // counts up again as the postings are written
  }

  const documents = new Uint32Array(postingsTotal);
  const weights = new Float32Array(postingsTotal);
  counted.forEach(({ counts, length }, document) => {
    const held = k1 * (1 - b + (b * length) / lengthMean);
    for (const [word, count] of counts) {
      const term = terms.get(word);
      if (!term) continue; // every word was entered above; this satisfies the type only
      const at = term.start + term.postings++;
      documents[at] = document;
      weights[at] = (term.idf * count * (k1 + 1)) / (count + held);
    }
  });

  const idfUnseen = idf(texts.length, 0);

  function accumulate(query: string): { scores: Float32Array; possible: number } {
    const scores = new Float32Array(texts.length);
    let possible = 0;
    for (const word of new Set(words(query))) {
      const term = terms.get(word);
      possible += (term?.idf ?? idfUnseen) * (k1 + 1);
      if (!term) continue;
      const end = term.start + term.postings;
      for (let at = term.start; at < end; at++) {
        const document = documents[at] ?? 0;
        scores[document] = (scores[document] ?? 0) + (weights[at] ?? 0);
      }
    }
    return { scores, possible };
  }

  return {
    size: texts.length,
    scores: (query) => accumulate(query).scores,
    normalisedScores(query) {
      const { scores, possible } = accumulate(query);
      if (possible === 0) return scores;
      for (let i = 0; i < scores.length; i++) scores[i] = Math.min(1, (scores[i] ?? 0) / possible);
      return scores;
    },
  };
}

/** Never negative, so that a word in most texts still counts for a little. */
function idf(documents: number, having: number): number {
  return Math.log(1 + (documents - having + 0.5) / (having + 0.5));
}
