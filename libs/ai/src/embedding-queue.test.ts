import { describe, expect, it } from "vitest";
import { embedderUnavailable } from "./embedder.ts";
import { embeddingQueue } from "./embedding-queue.ts";

/** A model that answers only when told to, and remembers what it was given at a time. */
function held(models = 1) {
  const given: string[] = [];
  const answers: ((error?: Error) => void)[] = [];
  const queue = embeddingQueue(
    (texts) =>
      new Promise((resolve, reject) => {
        given.push(texts.join(" "));
        answers.push((error) =>
          error ? reject(error) : resolve(texts.map((text) => Float32Array.of(text.length))),
        );
      }),
    models,
  );
  return {
    queue,
    given,
    /** Answers what was given longest ago, and lets the queue go on. */
    answer: async (error?: Error) => {
      const oldest = answers.shift();
      if (!oldest) throw new Error("the model has nothing to answer");
      oldest(error);
      await settled();
    },
  };
}

/** Every step of the queue is a microtask, so one turn of the event loop runs all of them. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;
const batch = (name: string, size = 10) => Array.from({ length: size }, (_, i) => `${name}${i}`);

describe("an embedding queue", () => {
  it("lets a query go before the rest of a batch that came first", async () => {
    const { queue, given, answer } = held();
    void queue.embed(batch("a"), never);
    expect(given).toEqual(["a0 a1 a2 a3 a4 a5 a6 a7"]);
    void queue.embed(["query"], never);
    await answer();
    expect(given.slice(1)).toEqual(["query", "a8 a9"]);
  });
  it("gives batches turns, a few texts at a time", async () => {
    const { queue, given, answer } = held();
    void queue.embed(batch("a", 20), never);
    void queue.embed(batch("b"), never);
    for (let i = 0; i < 4; i++) await answer();
    expect(given.slice(1)).toEqual([
      "a8 a9 a10 a11 a12 a13 a14 a15",
      "b0 b1 b2 b3 b4 b5 b6 b7",
      "a16 a17 a18 a19",
      "b8 b9",
    ]);
  });
  it("gives together what is not much, whatever its length, and answers in the order asked", async () => {
    const { queue, given, answer } = held();
    const of = (length: number) => "x".repeat(length);
    const lengths = [30, 1_000, 9, 31, 10, 190, 200, 201];
    const asked = queue.embed(lengths.map(of), never);
    for (let i = 0; i < 5; i++) await answer();
    expect((await asked).map(([length]) => length)).toEqual(lengths);
    expect(given.map((texts) => texts.split(" ").map(({ length }) => length))).toEqual([
      [30],
      [1_000],
      [9, 31, 10, 190],
      [200],
      [201],
    ]);
  });
  it("gives a batch to each of several models, and each has room for a query beside it", async () => {
    const { queue, given, answer } = held(2);
    void queue.embed(batch("a", 20), never);
    for (const query of ["q1", "q2", "q3"]) void queue.embed([query], never);
    expect(given).toEqual(["a0 a1 a2 a3 a4 a5 a6 a7", "a8 a9 a10 a11 a12 a13 a14 a15", "q1", "q2"]);
    await answer();
    expect(given.slice(4)).toEqual(["q3"]);
  });
  it("lets no batch starve among queries", async () => {
    const { queue, given, answer } = held();
    for (const query of batch("q", 30)) void queue.embed([query], never);
    void queue.embed(batch("a"), never);
    for (let i = 0; i < 20; i++) await answer();
    expect(given.filter((text) => text.startsWith("a"))).toEqual([
      "a0 a1 a2 a3 a4 a5 a6 a7",
      "a8 a9",
    ]);
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
    for (let i = 0; i < 3; i++) await answer();
    expect(await stays).toHaveLength(10);
    expect(given.filter((text) => text.startsWith("a"))).toEqual(["a0 a1 a2 a3 a4 a5 a6 a7"]);
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
