import type { FoundCorrection } from "../../domain/finding.ts";
import { isHypothetical } from "./guards.ts";
import type { ReadSentence } from "./clause.ts";

const value = "([\\p{L}\\p{N}@+][\\p{L}\\p{N}@.+'’_ -]{0,60}?)";
const end = "(?=\\s*(?:$|[.!,;]))";
const cues: readonly { readonly words: RegExp; readonly right: number; readonly wrong?: number }[] =
  [
    // "Sorry, I meant Leicester, not Leeds." "Not Leeds, Leicester."
    {
      words: new RegExp(
        `\\bI (?:meant|mean|should have said)(?: to (?:say|write))?:?\\s+${value},?\\s+(?:and )?not\\s+${value}${end}`,
        "iu",
      ),
      right: 1,
      wrong: 2,
    },
    {
      words: new RegExp(
        `\\bI (?:meant|should have said)(?: to (?:say|write))?:?\\s+${value}${end}`,
        "iu",
      ),
      right: 1,
    },
    {
      words: new RegExp(
        `\\b(?:correction|sorry|actually|no|wait|oops)[,:]?\\s+(?:(?:it['’]s|it is|that['’]s|that is|that should be|it should be)\\s+)?not\\s+${value},\\s*(?:but\\s+|it['’]s\\s+)?${value}${end}`,
        "iu",
      ),
      right: 2,
      wrong: 1,
    },
    {
      words: new RegExp(
        `\\b(?:it['’]s|it is|that['’]s|that should be|it should be|correction:?)\\s+${value},\\s*not\\s+${value}${end}`,
        "iu",
      ),
      right: 1,
      wrong: 2,
    },
  ];

/** What takes back something that was said before, in this message or an earlier one. */
export function correctionIn(
  { text, start }: ReadSentence,
  authority: FoundCorrection["authority"],
): FoundCorrection | undefined {
  if (!/\b(?:not|meant|mean|should have said)\b/i.test(text) || isHypothetical(text))
    return undefined;
  for (const cue of cues) {
    const found = cue.words.exec(text);
    const right = found?.[cue.right]?.trim();
    if (!found || right === undefined || right === "") continue;
    const wrong = cue.wrong === undefined ? undefined : found[cue.wrong]?.trim();
    const span = { spanStart: start + found.index, spanEnd: start + found.index + found[0].length };
    return { kind: "correction", right, wrong, authority, ...span };
  }
  return undefined;
}
