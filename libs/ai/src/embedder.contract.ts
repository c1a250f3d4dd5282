import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Embedder, embedOne } from "./embedder.ts";

/** What every Embedder must do. */
export function embedderContract(
  open: (opened: AsyncDisposableStack) => Embedder | Promise<Embedder>,
): void {
  const opened = new AsyncDisposableStack();
  let embedder: Embedder;
  // Once for all tests: loading a model takes its time, and an embedder has no state to share.
  beforeAll(async () => {
    embedder = await open(opened);
  });
  afterAll(() => opened.disposeAsync());
  const never = new AbortController().signal;
  const embed = (...texts: string[]) => embedder.embed(texts, never);
  const cosine = async (a: string, b: string) => {
    const [x, y] = await embed(a, b);
    return x!.reduce((sum, value, i) => sum + value * y![i]!, 0);
  };

  it("names its vectors by provider, model and kind", () => {
    expect(embedder.model).toMatch(/^[a-z]+:[^:]+:[^:]+$/);
  });
  it.each([
    ["an ordinary text", "Where is my order?"],
    ["an empty text", ""],
    ["blanks", " \n\t "],
    ["punctuation", "?!"],
    ["a text far too long", "Where is my order? ".repeat(2000)],
    ["one endless word", "x".repeat(32_000)],
    ["other scripts and pictures", "返品したい Ёлка 🙂 \u0000"],
    ["half a surrogate pair", "broken \ud83d end"],
  ])("gives %s a vector of length 1", async (_, text) => {
    const [vector, ...others] = await embed(text);
    expect(others).toEqual([]);
    expect(vector).toBeInstanceOf(Float32Array);
    expect(vector).toHaveLength(embedder.dimensions);
    expect(Math.hypot(...vector!)).toBeCloseTo(1, 4);
  });
  it("gives nothing for no texts", async () => {
    expect(await embed()).toEqual([]);
  });
  it("gives the same text the same vector, alone and among others", async () => {
    const text = "I want to return these shoes";
    const alone = await embedOne(embedder, text, never);
    const [, among] = await embed("Hello", text, "Where is my order?");
    expect(among).toEqual(alone);
  });
  it("gives vectors that are the caller's own", async () => {
    const first = await embedOne(embedder, "My parcel is damaged", never);
    const kept = first.slice();
    first.fill(0);
    expect(await embedOne(embedder, "My parcel is damaged", never)).toEqual(kept);
  });
  it("keeps the order of a batch", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `order number ${i}`);
    const vectors = await embed(...texts);
    expect(vectors).toHaveLength(40);
    for (const i of [0, 17, 39])
      expect(vectors[i]).toEqual(await embedOne(embedder, texts[i]!, never));
  });
  it("puts similar texts nearer than others", async () => {
    const same = await cosine("I want to return my order", "Can I return the order I made?");
    const other = await cosine("I want to return my order", "What is your favourite colour?");
    expect(same).toBeGreaterThan(other + 0.1);
  });
  it("answers many at the same time", async () => {
    const texts = Array.from({ length: 12 }, (_, i) => `question ${i % 6}`);
    const vectors = await Promise.all(texts.map((text) => embedOne(embedder, text, never)));
    expect(vectors.slice(0, 6)).toEqual(vectors.slice(6));
  });

  describe("cancelling", () => {
    it("fails a request that has not begun", async () => {
      await expect(embedder.embed(["Hello"], AbortSignal.abort())).rejects.toMatchObject({
        name: "Fault",
        kind: "cancelled",
      });
    });
    it("leaves the others alone", async () => {
      const leaving = new AbortController();
      const texts = Array.from({ length: 50 }, (_, i) => `a text that may not be needed ${i}`);
      const cancelled = embedder.embed(texts, leaving.signal).then(
        () => "in time",
        (error: unknown) => error,
      );
      const other = embedOne(embedder, "a text that is needed", never);
      leaving.abort();
      // A model without a queue may have finished before it could be told.
      expect(["in time", expect.objectContaining({ kind: "cancelled" })]).toContainEqual(
        await cancelled,
      );
      expect(await other).toHaveLength(embedder.dimensions);
    });
  });
}
