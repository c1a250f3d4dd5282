import { describe, expect, it } from "vitest";
import { modelWorker } from "./model-worker.ts";

/** Answers texts with their lengths, dies of "die", and leaves at "leave". */
const script = new URL(
  "data:text/javascript," +
    encodeURIComponent(`
      import { parentPort } from "node:worker_threads";
      parentPort.on("message", (texts) => {
        if (texts.includes("die")) throw new Error("out of memory");
        if (texts.includes("leave")) process.exit(0);
        parentPort.postMessage(texts.map((text) => Float32Array.of(text.length)));
      });
    `),
);
const open = (opened: AsyncDisposableStack) =>
  opened.adopt(modelWorker(script), (worker) => worker.close());

describe("a model's worker", () => {
  it("answers in order", async () => {
    await using opened = new AsyncDisposableStack();
    const worker = open(opened);
    const answers = await Promise.all([["a", "four"], ["to"]].map((texts) => worker.embed(texts)));
    expect(answers.flat().map(([length]) => length)).toEqual([1, 4, 2]);
  });
  it.each([
    ["die", "the embedding model has failed"],
    ["leave", "the embedding model has stopped"],
  ])("fails what it owes when it ends by %s, and then starts again", async (text, message) => {
    await using opened = new AsyncDisposableStack();
    const worker = open(opened);
    const owed = await Promise.allSettled([
      worker.embed(["a"]),
      worker.embed([text]),
      worker.embed(["b"]),
    ]);
    expect(owed.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(owed[1]).toMatchObject({
      reason: { kind: "unavailable", reason: "EMBEDDER_UNAVAILABLE", message },
    });
    expect(await worker.embed(["four"])).toEqual([Float32Array.of(4)]);
  });
  it("fails when the model can't be loaded, each time it is asked", async () => {
    const worker = modelWorker(new URL("data:text/javascript,throw new Error('no such file')"));
    for (const text of ["a", "b"])
      await expect(worker.embed([text])).rejects.toMatchObject({ reason: "EMBEDDER_UNAVAILABLE" });
  });
});
