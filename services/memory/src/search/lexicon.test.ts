import { bm25Index } from "@soldier/retrieval/bm25";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bm25Shares, type Lexicon, lexicon } from "./lexicon.ts";

const words = (text: string) => text.split(" ").filter(Boolean);

function lexiconOf(texts: readonly string[]): Lexicon {
  const made = lexicon();
  for (const text of texts) made.add(words(text));
  return made;
}

const all = (list: Lexicon) => ({ texts: list, visible: new Uint8Array(list.size).fill(1) });

const text = fc
  .array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 6 })
  .map((w) => w.join(" "));
const texts = fc.array(text, { maxLength: 8 });

function expectClose(actual: Iterable<number>, expected: Iterable<number>): void {
  const [a, b] = [[...actual], [...expected]];
  expect(a).toHaveLength(b.length);
  a.forEach((value, i) => expect(value).toBeCloseTo(b[i] ?? Number.NaN, 5));
}

describe("BM25 over a growing list", () => {
  it("is what a finished index gives for the same texts", () => {
    fc.assert(
      fc.property(texts, text, (given, query) => {
        const index = bm25Index(given, { tokenize: words });
        const [shares] = bm25Shares([all(lexiconOf(given))], words(query));
        expectClose(shares ?? [], index.normalisedScores(query));
      }),
    );
  });
  it("scores as if what is hidden were not there", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(text, fc.boolean()), { maxLength: 8 }),
        text,
        (given, query) => {
          const visible = Uint8Array.from(given, ([, seen]) => (seen ? 1 : 0));
          const list = lexiconOf(given.map(([one]) => one));
          const [shares = []] = bm25Shares([{ texts: list, visible }], words(query));
          const seen = given.flatMap(([one, shown]) => (shown ? [one] : []));
          const [expected = []] = bm25Shares([all(lexiconOf(seen))], words(query));
          expectClose(
            [...shares].filter((_, i) => visible[i]),
            expected,
          );
          expect([...shares].filter((share, i) => !visible[i] && share !== 0)).toEqual([]);
        },
      ),
    );
  });
  it("scores many lists as if they were one", () => {
    fc.assert(
      fc.property(texts, texts, text, (one, other, query) => {
        const apart = bm25Shares([all(lexiconOf(one)), all(lexiconOf(other))], words(query));
        const [together = []] = bm25Shares([all(lexiconOf([...one, ...other]))], words(query));
        expectClose(
          apart.flatMap((list) => [...list]),
          together,
        );
      }),
    );
  });
  it("gives nothing for a query without words", () => {
    const [shares] = bm25Shares([all(lexiconOf(["a b"]))], []);
    expect(shares).toEqual(Float32Array.of(0));
  });
});
