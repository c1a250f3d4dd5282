import { askedTimes, nearness, wantsTime } from "./asked-times.ts";
import type { GroupIndex } from "./group-index.ts";

/** What counts how much beside likeness: by so much of its share a score rises. */
export interface CueWeights {
  /** Texts that say something: a greeting seldom answers. */
  readonly substance: number;
  /** The time that is asked for; and where a time is what is asked, texts that name one. */
  readonly time: number;
  /** Said by somebody whom the question names, where several people speak. */
  readonly speaker: number;
}

/** What can be known of an episode without comparing it with the question; each 0 to 1. */
export interface Cues {
  readonly substance: Float32Array;
  readonly time: Float32Array;
  readonly tells: Float32Array;
  readonly speaker: Float32Array;
}

/** From here on a question is not read for names. */
const namesMax = 2_000;

export function cuesOf(
  group: GroupIndex,
  visible: Uint8Array,
  question: string,
  validAt: Date,
): Cues {
  const size = visible.length;
  const cues = {
    substance: new Float32Array(size),
    time: new Float32Array(size),
    tells: new Float32Array(size),
    speaker: new Float32Array(size),
  };
  const { lengths } = group.lexicon;
  let words = 0;
  let count = 0;
  let earliest = validAt.getTime();
  const speaks = new Set<number>();
  for (let place = 0; place < size; place++) {
    if (!visible[place]) continue;
    words += lengths[place] ?? 0;
    count++;
    earliest = Math.min(earliest, group.occurredMs[place] ?? earliest);
    speaks.add(group.speakerOf[place] ?? -1);
  }
  const mean = words / (count || 1) || 1;
  const spans = askedTimes(question, validAt.getTime(), earliest);
  const asked = wantsTime(question);
  speaks.delete(-1);
  const named = speaks.size > 1 ? namedIn(question, group.speakers) : new Set<number>();
  for (let place = 0; place < size; place++) {
    if (!visible[place]) continue;
    const length = lengths[place] ?? 0;
    cues.substance[place] = length / (length + mean);
    if (spans.length > 0) cues.time[place] = nearness(spans, group.occurredMs[place] ?? 0);
    if (asked && group.tellsTime[place]) cues.tells[place] = 1;
    if (named.has(group.speakerOf[place] ?? -1)) cues.speaker[place] = 1;
  }
  return cues;
}

/** Which of the speakers a question names, by any word of their names. */
function namedIn(question: string, speakers: readonly string[]): ReadonlySet<number> {
  const words = new Set(wordsOf(question.slice(0, namesMax)));
  const named = new Set<number>();
  speakers.forEach((speaker, number) => {
    if (wordsOf(speaker).some((word) => words.has(word))) named.add(number);
  });
  return named;
}

function wordsOf(text: string): readonly string[] {
  return (
    text
      .toLowerCase()
      .replaceAll(/['’]s\b/g, "")
      .match(/[\p{L}\p{M}]+/gu) ?? []
  );
}
