import { lexicalWords } from "../search/words.ts";

/** Another way to choose is another name. */
export const extractiveName = "extractive:v1";

const sentencesMax = 8;
const lengthMax = 1_200;
const sentences = new Intl.Segmenter("en", { granularity: "sentence" });

interface Sentence {
  readonly place: number;
  readonly text: string;
  readonly words: ReadonlySet<string>;
}

/**
 * The sentences that say most of what the texts are about, in their order: each next one has the
 * words that weigh most and were not said yet, for its length. A word weighs by how many texts have
 * it, but for those that nearly all have. Nothing is said that was not said.
 */
export function extractiveSummary(texts: readonly string[]): string {
  const all: Sentence[] = texts
    .flatMap((text) => Array.from(sentences.segment(text), ({ segment }) => segment.trim()))
    .filter((text) => text !== "")
    .map((text, place) => ({ place, text, words: new Set(lexicalWords(text)) }));
  const spread = spreadOf(texts);
  const weight = (word: string) => {
    const share = (spread.get(word) ?? 0) / texts.length;
    return Math.sqrt(share) * Math.log(1 + 1 / Math.max(share, 1 / texts.length));
  };
  const chosen: Sentence[] = [];
  const said = new Set<string>();
  let length = 0;
  while (chosen.length < sentencesMax) {
    const left = all.filter(
      (each) => !chosen.includes(each) && length + each.text.length <= lengthMax,
    );
    const [best] = left
      .map((sentence) => ({ sentence, gain: gainOf(sentence, said, weight) }))
      .filter(({ gain }) => gain > 0)
      .toSorted((a, b) => b.gain - a.gain || a.sentence.place - b.sentence.place);
    if (!best) break;
    chosen.push(best.sentence);
    length += best.sentence.text.length + 1;
    for (const word of best.sentence.words) said.add(word);
  }
  const told = chosen.toSorted((a, b) => a.place - b.place).map(({ text }) => text);
  // A single sentence may be longer than all of a summary.
  return told.join(" ") || (all[0]?.text ?? "").slice(0, lengthMax);
}

function gainOf(
  { words }: Sentence,
  said: ReadonlySet<string>,
  weight: (word: string) => number,
): number {
  let gain = 0;
  for (const word of words) if (!said.has(word)) gain += weight(word);
  return gain / Math.sqrt(words.size + 4);
}

function spreadOf(texts: readonly string[]): ReadonlyMap<string, number> {
  const spread = new Map<string, number>();
  for (const text of texts)
    for (const word of new Set(lexicalWords(text))) spread.set(word, (spread.get(word) ?? 0) + 1);
  return spread;
}
