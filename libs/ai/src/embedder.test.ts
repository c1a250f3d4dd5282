import { describe, expect, it } from "vitest";
import { deterministicEmbedder } from "./deterministic.ts";
import { embedderContract } from "./embedder.contract.ts";
import { embedOne } from "./embedder.ts";
import { localEmbedder } from "./local.ts";

const never = new AbortController().signal;

describe("the deterministic embedder", () => {
  embedderContract(() => deterministicEmbedder());
});

describe("the deterministic embedder, in few dimensions", () => {
  embedderContract(() => deterministicEmbedder(64));
});

describe("the deterministic embedder's vectors", () => {
  it("never change: tests elsewhere depend on them", async () => {
    const vector = await embedOne(deterministicEmbedder(8), "Where is my order?", never);
    expect([...vector].map((x) => x.toFixed(3)).join(" ")).toMatchInlineSnapshot(
      `"-0.112 0.615 -0.168 0.615 0.000 0.335 -0.112 0.280"`,
    );
  });
});

describe("the local embedder", () => {
  embedderContract((opened) => localEmbedder(opened));

  it("knows what words mean", async () => {
    await using opened = new AsyncDisposableStack();
    const embedder = localEmbedder(opened);
    const [parcel, shipment, colour] = await embedder.embed(
      ["my parcel has not arrived", "the shipment is still missing", "I like the blue one"],
      never,
    );
    const cosine = (a: Float32Array, b: Float32Array) =>
      a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    expect(cosine(parcel!, shipment!)).toBeGreaterThan(0.5);
    expect(cosine(parcel!, colour!)).toBeLessThan(0.3);
  });
});
