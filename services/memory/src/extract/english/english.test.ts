import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { type FoundClaim, type FoundValue, literalText, type Named } from "../../domain/finding.ts";
import { identifierOf } from "../identifiers.ts";
import { lexiconOf } from "../lexicon.ts";
import { extractByPatterns } from "../pattern-extractor.ts";
import { datesIn } from "./dates.ts";
import { heldSentences } from "./held-sentences.ts";
import {
  knownNames,
  type LabelledSentence,
  labelledSentences,
  saidAt,
} from "./labelled-sentences.ts";
import { namesIn } from "./names.ts";
import { withoutQuotations } from "./sentences.ts";

const context = {
  lexicon: lexiconOf(knownNames),
  identifiers: [identifierOf("order", "\\b[A-Z]{3}-\\d{5}\\b")],
  country: undefined,
};

const read = (text: string, role: "user" | "agent" | "document" = "user") =>
  extractByPatterns({ text, role, occurredAt: saidAt, customerId: "ana" }, context).findings;
const claims = (text: string, role?: "user" | "agent" | "document") =>
  read(text, role).filter((finding) => finding.kind !== "correction");

const nameOf = (value: FoundValue | Named | undefined) => {
  if (value?.kind === "mention") return value.name;
  return value?.kind === "literal" ? literalText(value.json) : "";
};
const told = ({ kind, subject, predicate, value }: FoundClaim) =>
  `${kind === "end" ? "-" : ""}${subject.kind === "mention" ? `${subject.name}.` : ""}${predicate}=${nameOf(value)}`;

type Kind = "people" | "places" | "dates";

function found(kind: Kind, sentence: LabelledSentence): readonly string[] {
  const text = withoutQuotations(sentence.text);
  if (kind === "dates")
    return datesIn(text, saidAt).map(({ start, end }) => text.slice(start, end));
  const type = kind === "people" ? "person" : "place";
  return namesIn(text, context.lexicon).flatMap((name) => (name.type === type ? [name.name] : []));
}

function quality(kind: Kind, sentences: readonly LabelledSentence[]) {
  const count = { right: 0, wrong: [] as string[], missed: [] as string[] };
  for (const sentence of sentences) {
    const wanted = (sentence[kind] ?? []).map((name) => name.toLowerCase());
    const got = found(kind, sentence).map((name) => name.toLowerCase());
    count.right += got.filter((name) => wanted.includes(name)).length;
    count.wrong.push(...got.filter((name) => !wanted.includes(name)));
    count.missed.push(...wanted.filter((name) => !got.includes(name)));
  }
  const f1 = (2 * count.right) / (2 * count.right + count.wrong.length + count.missed.length);
  return { f1, wrong: count.wrong, missed: count.missed };
}

const bars = [
  ["people", 0.85],
  ["places", 0.85],
  ["dates", 0.9],
] as const;

describe.each([
  ["labelled", labelledSentences],
  ["held", heldSentences],
])("English patterns, on the %s sentences,", (_, sentences) => {
  it.each(bars)("find %s with an F1 of %d or better", (kind, bar) => {
    const { f1, wrong, missed } = quality(kind, sentences);
    expect(f1, JSON.stringify({ wrong, missed })).toBeGreaterThanOrEqual(bar);
  });

  it("claim what is said, and nothing from what is denied, asked, supposed or quoted", () => {
    const wrong = sentences.flatMap(({ text, claims: wanted = [] }) => {
      const got = claims(text).map(told);
      return isDeepStrictEqual(got.toSorted(), wanted.toSorted()) ? [] : [{ text, wanted, got }];
    });
    expect(wrong).toEqual([]);
  });
});

describe("seasons", () => {
  const months = (text: string, tense?: "past" | "future") =>
    datesIn(text, new Date("2026-05-10T12:00:00Z"), tense).map(({ from, to, relative }) => [
      from?.toISOString().slice(0, 7),
      to?.toISOString().slice(0, 7),
      relative,
    ]);
  it.each<[string, readonly unknown[]]>([
    ["We are relocating to Rotterdam next spring.", ["2027-03", "2027-06", true]],
    ["I moved to Rome last summer.", ["2025-06", "2025-09", true]],
    ["I have lived in Rome since last summer.", ["2025-06", undefined, true]],
    ["I work at Globex until next winter.", [undefined, "2026-12", true]],
    ["We signed in the autumn of 2021.", ["2021-09", "2021-12", false]],
  ])("are three whole months: %s", (text, expected) => {
    expect(months(text)).toEqual([expected]);
  });
  it("date what is claimed", () => {
    const [claim] = claims("I moved to Rome last summer.");
    expect(claim).toMatchObject({ validFrom: "2025-06-01T00:00:00.000Z" });
  });
});
