import { describe, expect, it } from "vitest";
import { embedderUnavailable } from "./embedder.ts";
import { embeddingQueue } from "./embedding-queue.ts";

/** A model that answers only when told to, and remembers what it was given. */
function held() {
  const given: string[] = [];
  const answers = new Map<string, (error?: Error) => void>();
  const queue = embeddingQueue(
    (text) =>
      new Promise((resolve, reject) => {
        given.push(text);
        answers.set(text, (error) =>
          error ? reject(error) : resolve(Float32Array.of(text.length)),
        );
      }),
  );
  return {
    queue,
    given,
    /** Answers the text given longest ago, and lets the queue go on. */
    answer: async (error?: Error) => {
      const [oldest] = answers;
      if (!oldest) throw new Error("the model has nothing to answer");
      answers.delete(oldest[0]);
      oldest[1](error);
      await settled();
    },
  };
}

/** Every step of the queue is a microtask, so one turn of the event loop runs all of them. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;
const batch = (name: string, size = 10) => Array.from({ length: size }, (_, i) => `${name}${i}`);

describe("an embedding queue", () => {
  it("lets a query go before a batch that came first", async () => {
    const { queue, given, answer } = held();
    void queue.embed(batch("a"), never);
    void queue.embed(["query"], never);
    await answer();
    expect(given).toEqual(["a0", "a1", "query"]);
  });
  it("gives batches turns, text by text", async () => {
    const { queue, given, answer } = held();
    void queue.embed(batch("a"), never);
    void queue.embed(batch("b"), never);
    for (let i = 0; i < 4; i++) await answer();
    expect(given).toEqual(["a0", "a1", "a2", "b0", "a3", "b1"]);
  });
  it("lets no batch starve among queries", async () => {
    const { queue, given, answer } = held();
    for (const query of batch("q", 30)) void queue.embed([query], never);
    void queue.embed(batch("a"), never);
    for (let i = 0; i < 20; i++) await answer();
    expect(given.filter((text) => text.startsWith("a"))).toEqual(["a0", "a1"]);
  });
  it("embeds a text once that many ask for, then and afterwards", async () => {
    const { queue, given, answer } = held();
    const asking = Promise.all([1, 2, 3].map(() => queue.embed(["hello"], never)));
    await answer();
    expect(await asking).toEqual([1, 2, 3].map(() => [Float32Array.of(5)]));
    expect(await queue.embed(["hello"], never)).toEqual([Float32Array.of(5)]);
    expect(given).toEqual(["hello"]);
  });
  it("does not embed for a request that has left", async () => {
    const { queue, given, answer } = held();
    const leaving = new AbortController();
    const left = queue.embed(batch("a"), leaving.signal);
    const stays = queue.embed(batch("b"), never);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ kind: "cancelled" });
    for (let i = 0; i < 12; i++) await answer();
    expect(await stays).toHaveLength(10);
    expect(given.filter((text) => text.startsWith("a"))).toEqual(["a0", "a1"]);
  });
  it("fails only the request whose text it was, and asks again the next time", async () => {
    const { queue, answer } = held();
    const broken = queue.embed(["broken"], never);
    const fine = queue.embed(["fine"], never);
    const failure = embedderUnavailable("the embedding model has failed");
    const rejected = broken.catch((error: unknown) => error);
    await answer(failure);
    expect(await rejected).toBe(failure);
    await answer();
    expect(await fine).toEqual([Float32Array.of(4)]);
    const again = queue.embed(["broken"], never);
    await answer();
    expect(await again).toEqual([Float32Array.of(6)]);
  });
  it("fails all that wait when it closes, and all that come", async () => {
    const { queue } = held();
    const closed = embedderUnavailable("closed");
    const waiting = ["a", "b", "c"].map((text) => queue.embed([text], never));
    queue.close(closed);
    await expect(waiting[2]).rejects.toBe(closed);
    await expect(queue.embed(["d"], never)).rejects.toBe(closed);
  });
});
