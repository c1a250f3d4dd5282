import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { Embedder } from "@soldier/ai/embedder";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { type EmbeddingTable, EmbeddingTableSchema } from "@soldier/proto/config/v1/bundle";
import type { MatchedText } from "@soldier/retrieval/condition-text";
import { centroid } from "@soldier/retrieval/vectors";
import type { ConfigStore } from "../store/config-store.ts";

/** Texts that are embedded before their vectors are kept: what a cut-off publish need not do again. */
const batchSize = 64;
/** Hashes looked up in one query. */
const lookUpMax = 5_000;

export interface EmbedParts {
  readonly embedder: Embedder;
  readonly store: Pick<ConfigStore, "vectors" | "keepVectors">;
  readonly clock: Clock;
  /** Then it stops with EMBEDDING_UNFINISHED; asked again, it goes on where it was. */
  readonly sliceMs: number;
}

/**
 * The vectors of the texts, in their order: each the middle of its views'. Only what the tenant has
 * never had embedded by this model costs anything.
 */
export async function embedTexts(
  { embedder, store, clock, sliceMs }: EmbedParts,
  tenantId: string,
  texts: readonly MatchedText[],
  signal: AbortSignal,
): Promise<EmbeddingTable> {
  const { model, dimensions } = embedder;
  const views = [...new Set(texts.flatMap((text) => text.views))];
  const hashes = views.map((view) => createHash("sha256").update(view).digest("hex"));
  const vectors = new Map<string, Uint8Array>();
  for (let from = 0; from < hashes.length; from += lookUpMax) {
    const known = await store.vectors(tenantId, model, hashes.slice(from, from + lookUpMax));
    for (const [hash, vector] of known) vectors.set(hash, vector);
  }
  const missing = views
    .map((text, i) => ({ text, hash: hashes[i] ?? "" }))
    .filter(({ hash }) => !vectors.has(hash));
  const endMs = clock.monotonicMs() + sliceMs;
  for (let from = 0; from < missing.length; from += batchSize) {
    if (from > 0 && clock.monotonicMs() >= endMs)
      throw unfinished(views.length - missing.length + from, views.length);
    const batch = missing.slice(from, from + batchSize);
    const made = await embedder.embed(
      batch.map(({ text }) => text),
      signal,
    );
    const fresh = new Map(batch.map(({ hash }, i) => [hash, bytesOf(made[i], model)]));
    await store.keepVectors(tenantId, model, fresh);
    for (const [hash, vector] of fresh) vectors.set(hash, vector);
  }
  const byView = new Map(views.map((view, i) => [view, vectors.get(hashes[i] ?? "")]));
  const rowBytes = dimensions * 4;
  const rows = new Uint8Array(texts.length * rowBytes);
  for (const [row, { views: own }] of texts.entries()) {
    const made = own.map((view) => {
      const vector = byView.get(view);
      if (vector?.byteLength !== rowBytes)
        throw new Error(`${model} has a vector that is not of ${dimensions} dimensions`);
      return vector;
    });
    const [only, ...more] = made;
    const middle = only && more.length === 0 ? only : bytesOf(middleOf(made, dimensions), model);
    rows.set(middle, row * rowBytes);
  }
  return create(EmbeddingTableSchema, {
    model,
    dimensions,
    texts: texts.map(({ text }) => text),
    vectors: rows,
  });
}

/** No call is as long as a model takes for ten thousands of texts: callers see how far it is. */
function unfinished(done: number, total: number): Fault {
  return new Fault("deadline", `${done} of ${total} texts are embedded; publish again to go on`, {
    reason: "EMBEDDING_UNFINISHED",
    metadata: { texts_embedded: String(done), texts: String(total) },
  });
}

function middleOf(vectors: readonly Uint8Array[], dimensions: number): Float32Array {
  const numbers = vectors.map(({ buffer, byteOffset }) => {
    const view = new DataView(buffer, byteOffset);
    return Float32Array.from({ length: dimensions }, (_, i) => view.getFloat32(i * 4, true));
  });
  return centroid(numbers, dimensions);
}

/** As little-endian float32, whatever the machine's own order is. */
function bytesOf(vector: Float32Array | undefined, model: string): Uint8Array {
  if (!vector) throw new Error(`${model} gave no vector for a text`);
  const bytes = new Uint8Array(vector.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, number] of vector.entries()) view.setFloat32(i * 4, number, true);
  return bytes;
}
