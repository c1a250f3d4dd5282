import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bm25Shares, lexicon } from "./lexicon.ts";
import { sessionShares, type SessionTexts } from "./session-words.ts";

type Said = readonly [text: string, session: number, visible: boolean];

function listOf(said: readonly Said[], sessionsCount = 3): SessionTexts {
  const texts = lexicon();
  for (const [text] of said) texts.add(text.split(" ").filter(Boolean));
  const visible = Uint8Array.from(said, ([, , seen]) => (seen ? 1 : 0));
  return { texts, visible, sessionOf: said.map(([, session]) => session), sessionsCount };
}

const saidAny = fc.array(
  fc.tuple(
    fc
      .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 })
      .map((w) => w.join(" ")),
    fc.integer({ min: -1, max: 2 }),
    fc.boolean(),
  ),
  { maxLength: 10 },
);

describe("the words of sessions", () => {
  it("score as if each session were one text of what is visible of it", () => {
    fc.assert(
      fc.property(saidAny, fc.constantFrom("a", "a b", "c d"), (said, query) => {
        const words = query.split(" ");
        const [shares = []] = sessionShares([listOf(said)], words);
        const joined = [0, 1, 2].map((session) =>
          said.flatMap(([text, of, seen]) => (of === session && seen ? [text] : [])).join(" "),
        );
        const held = joined.filter(Boolean).map((text): Said => [text, -1, true]);
        const [expected = []] = bm25Shares([listOf(held)], words);
        const got = [...shares].filter((_, session) => joined[session]);
        expect(got).toHaveLength(expected.length);
        got.forEach((share, i) => expect(share).toBeCloseTo(expected[i] ?? Number.NaN, 5));
      }),
    );
  });
  it("find together what no single turn has", () => {
    const [shares] = sessionShares(
      [
        listOf(
          [
            ["red", 0, true],
            ["parcel", 0, true],
            ["red", 1, true],
            ["blue", 1, true],
          ],
          2,
        ),
      ],
      ["red", "parcel"],
    );
    expect(shares?.[0]).toBeGreaterThan(shares?.[1] ?? 1);
  });
});
