import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withoutLeadingThought } from "./leading-thought.ts";

async function* partsOf(pieces: readonly string[]) {
  for (const text of pieces) yield { kind: "text" as const, text };
  yield { kind: "end" as const };
}

async function shown(pieces: readonly string[]): Promise<string> {
  let text = "";
  for await (const part of withoutLeadingThought(partsOf(pieces)))
    if ("text" in part) text += part.text;
  return text;
}

/** The text cut at the places, as a stream may. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].toSorted(
    (a, b) => a - b,
  );
  return [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length));
}

const anyText = fc.array(
  fc.constantFrom("<think>", "</think>", "<", "thi", "nk>", "/", " ", "\n", "word"),
  { maxLength: 12 },
);
const places = fc.array(fc.nat(), { maxLength: 8 });

describe("a thought before an answer", () => {
  it("is left out, wherever the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(anyText, places, async (words, at) => {
        const text = words.join("");
        const begins = text.trimStart();
        const end = begins.indexOf("</think>");
        const answer = !begins.startsWith("<think>")
          ? text
          : end < 0
            ? ""
            : begins.slice(end + "</think>".length).trimStart();
        expect(await shown(cut(text, at))).toBe(answer);
      }),
      { numRuns: 500 },
    );
  });
  it("keeps no answer waiting that is none", async () => {
    const parts = withoutLeadingThought(partsOf(["Hello", " there"]));
    expect((await parts.next()).value).toEqual({ kind: "text", text: "Hello" });
  });
});
