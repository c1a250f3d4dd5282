import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bm25Index } from "./bm25.ts";
import { tokenize } from "./tokenize.ts";

const texts = [
  "the customer wants a refund for a damaged parcel",
  "the customer asks where the parcel is",
  "the customer wants to change the delivery address",
  "refund refund refund",
];

describe("a BM25 index", () => {
  it("scores a text by the words it shares with the query", () => {
    const [damaged, where, address, refunds] = bm25Index(texts).scores("damaged parcel");
    expect(damaged).toBeGreaterThan(where ?? NaN);
    expect(where).toBeGreaterThan(0);
    expect([address, refunds]).toEqual([0, 0]);
  });
  it("agrees with the formula written out", () => {
    const documents = texts.map((text) => tokenize(text));
    const mean = documents.reduce((sum, words) => sum + words.length, 0) / documents.length;
    const expected = documents.map((words) =>
      tokenize("refund parcel").reduce((sum, word) => {
        const having = documents.filter((other) => other.includes(word)).length;
        const count = words.filter((other) => other === word).length;
        const idf = Math.log(1 + (documents.length - having + 0.5) / (having + 0.5));
        return sum + (idf * count * 2.2) / (count + 1.2 * (0.25 + (0.75 * words.length) / mean));
      }, 0),
    );
    bm25Index(texts)
      .scores("refund parcel")
      .forEach((score, i) => expect(score).toBeCloseTo(expected[i] ?? NaN, 5));
  });
  it("counts a word of the query once, however often it is said", () => {
    const index = bm25Index(texts);
    expect(index.scores("refund refund refund")).toEqual(index.scores("refund"));
  });
  it("gives zeros for a query without any word it knows", () => {
    const index = bm25Index(texts);
    expect([...index.scores("")]).toEqual([0, 0, 0, 0]);
    expect([...index.normalisedScores("the of and")]).toEqual([0, 0, 0, 0]);
    expect([...index.normalisedScores("zeppelin")]).toEqual([0, 0, 0, 0]);
  });
  it("works without any text, and with empty texts", () => {
    expect(bm25Index([]).scores("refund")).toHaveLength(0);
    expect([...bm25Index(["", "?"]).normalisedScores("refund")]).toEqual([0, 0]);
  });
  it("is not fooled by words that name things of objects", () => {
    const index = bm25Index(["constructor hasOwnProperty", "__proto__"]);
    expect(index.scores("constructor")[0]).toBeGreaterThan(0);
    expect(index.scores("toString")[0]).toBe(0);
  });
  it("lowers the normalised score for each word of the query that no text has", () => {
    const index = bm25Index(texts);
    const known = index.normalisedScores("damaged parcel")[0] ?? NaN;
    const diluted = index.normalisedScores("damaged parcel zeppelin harmonica")[0] ?? NaN;
    expect(diluted).toBeLessThan(known);
    expect(diluted).toBeGreaterThan(0);
  });

  const words = fc.array(fc.constantFrom("card", "lost", "refund", "order", "late", "pin"));
  it("keeps normalised scores between 0 and 1 and in the order of the plain ones", () => {
    fc.assert(
      fc.property(fc.array(words), words, (documents, query) => {
        const index = bm25Index(documents.map((document) => document.join(" ")));
        const plain = index.scores(query.join(" "));
        const normalised = index.normalisedScores(query.join(" "));
        const inOrder = [...plain.keys()].toSorted((i, j) => plain[j]! - plain[i]!);
        const shares = inOrder.map((i) => normalised[i]!);
        expect(shares).toEqual(shares.toSorted((x, y) => y - x));
        expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
      }),
    );
  });
});
