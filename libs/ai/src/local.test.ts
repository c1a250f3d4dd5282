import { describe, expect, it } from "vitest";
import { embedOne } from "./embedder.ts";
import { localEmbedder } from "./local.ts";

const never = new AbortController().signal;

describe("the local embedder", () => {
  it("is one model for all that open it, until the last has closed", async () => {
    const [first, second] = [new AsyncDisposableStack(), new AsyncDisposableStack()];
    const one = localEmbedder(first);
    const two = localEmbedder(second);
    await embedOne(one, "Hello", never);
    await first.disposeAsync();
    expect(await embedOne(two, "Hello again", never)).toHaveLength(384);
    const late = embedOne(two, "a text that comes too late", never).catch((e: unknown) => e);
    await second.disposeAsync();
    expect(await late).toMatchObject({ reason: "EMBEDDER_UNAVAILABLE" });
    await expect(embedOne(two, "Hello", never)).rejects.toMatchObject({ kind: "unavailable" });
    await using third = new AsyncDisposableStack();
    expect(await embedOne(localEmbedder(third), "Hello", never)).toHaveLength(384);
  });
});
