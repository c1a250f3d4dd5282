import type { Fault } from "@soldier/kernel/fault";
import { textIn } from "./expected.ts";

/** Words by which a refusal may tell of the same thing as a code. */
const synonyms: Readonly<Record<string, readonly string[]>> = {
  CYCLE: ["cycle", "circle"],
  TWO: ["two", "2"],
  TARGETS: ["target", "rules", "choose"],
  UNKNOWN: ["unknown", "no "],
};

/** Whether saving was refused, and for this: by its code, or in words that name it. */
export function refusalProblem(expected: unknown, refused: Fault | undefined): string | undefined {
  const code = textIn(expected);
  if (!refused) return `expected to be refused for ${code}, but it was saved and published`;
  const told = [
    refused.reason,
    refused.message,
    ...refused.fields.flatMap(({ field, description }) => [field, description]),
    ...Object.values(refused.metadata),
  ].join("\n");
  if (told.includes(code)) return undefined;
  const words = code.split("_").filter((word) => word.length > 2 && word !== "NEEDS");
  const named = words.filter((word) =>
    (synonyms[word] ?? [word.toLowerCase()]).some((each) => told.toLowerCase().includes(each)),
  );
  // All that the code says must be said, in whatever words.
  if (named.length === words.length) return undefined;
  return `expected to be refused for ${code}, but it was for ${refused.reason}: ${refused.message}`;
}
