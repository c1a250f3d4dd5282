import { describe, expect, it } from "vitest";
import { tokenize } from "./tokenize.ts";

describe("tokenize", () => {
  it("gives words of one family the same form", () => {
    expect(tokenize("refund refunds refunded REFUNDING")).toEqual(Array(4).fill("refund"));
  });
  it("leaves out what says nothing about the subject, but keeps negations", () => {
    expect(tokenize("Where is my order? It has not arrived")).toEqual(["order", "not", "arriv"]);
    expect(tokenize("Where is my order?", { dropStopWords: false })).toEqual([
      "where",
      "is",
      "my",
      "order",
    ]);
  });
  it("treats typographic and plain apostrophes alike", () => {
    expect(tokenize("the customer’s card, don’t")).toEqual(tokenize("the customer's card, don't"));
    expect(tokenize("customer's")).toEqual(tokenize("customer"));
  });
  it("keeps words and numbers of other languages", () => {
    expect(tokenize("Où est ma commande n° 4711? Größe Ёлка")).toEqual([
      "où",
      "est",
      "ma",
      // English endings are tried on any word in plain letters, in texts and queries alike.
      "command",
      "n",
      "4711",
      "größe",
      "ёлка",
    ]);
  });
  it("gives pairs of characters where words aren't separated", () => {
    expect(tokenize("返品したい")).toEqual(["返品", "品し", "した", "たい"]);
    expect(tokenize("水")).toEqual(["水"]);
  });
  it("gives nothing for a text without words", () => {
    expect(tokenize(" ?! … 🙂 ")).toEqual([]);
    expect(tokenize("")).toEqual([]);
  });
});
