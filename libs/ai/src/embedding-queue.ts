import { LRUCache } from "lru-cache";
import { cancelled, throwIfCancelled } from "./cancelled.ts";

/** Requests of at most this many texts go first: somebody waits for them, as for a query's vector. */
const urgentTextsMax = 4;
/** After so many urgent texts in a row one of a batch has its turn, so that no batch starves. */
const urgentInARowMax = 8;
/** Two, so that the model has the next text at hand while the last answer is on its way. */
const inFlightMax = 2;
/** Recent texts and their vectors; a message is often embedded by several services in a row. */
const cacheSizeBytes = 8 * 2 ** 20;

interface Request {
  readonly texts: readonly string[];
  /** The first text that has not been given to the model. */
  next: number;
  settled: boolean;
  give(index: number, vector: Float32Array): void;
  fail(error: unknown): void;
}

export interface EmbeddingQueue {
  /** As `Embedder.embed`. A request that is cancelled leaves at once. */
  embed(texts: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[]>;
  /** Fails all that wait, and all that come. */
  close(reason: Error): void;
}

/**
 * Shares a model that takes one text at a time among many requests. Small requests go before
 * batches; batches take turns text by text. A failure fails the requests whose text it was.
 */
export function embeddingQueue(run: (text: string) => Promise<Float32Array>): EmbeddingQueue {
  const cache = new LRUCache<string, Float32Array>({
    maxSize: cacheSizeBytes,
    sizeCalculation: (vector, text) => vector.byteLength + 2 * text.length + 1,
  });
  const urgent: Request[] = [];
  const batches: Request[] = [];
  const inFlight = new Map<string, Promise<Float32Array>>();
  let urgentInARow = 0;
  let closed: Error | undefined;

  /** The request whose text is next, taken out of its line unless it has more. */
  function choose(): Request | undefined {
    drop(urgent);
    drop(batches);
    const batch = batches[0];
    const [first] = urgent;
    if (first && !(batch && urgentInARow >= urgentInARowMax)) {
      urgentInARow++;
      if (first.next === first.texts.length - 1) urgent.shift();
      return first;
    }
    urgentInARow = 0;
    if (!batch) return undefined;
    batches.shift();
    if (batch.next < batch.texts.length - 1) batches.push(batch);
    return batch;
  }

  function pump(): void {
    while (inFlight.size < inFlightMax) {
      const request = choose();
      if (!request) return;
      const index = request.next++;
      const text = request.texts[index] ?? "";
      const known = cache.get(text);
      if (known) {
        request.give(index, known);
      } else {
        (inFlight.get(text) ?? start(text)).then(
          (vector) => request.give(index, vector),
          (error: unknown) => request.fail(error),
        );
      }
    }
  }

  function start(text: string): Promise<Float32Array> {
    const running = (async () => {
      try {
        const vector = await run(text);
        cache.set(text, vector);
        return vector;
      } finally {
        inFlight.delete(text);
        queueMicrotask(pump);
      }
    })();
    inFlight.set(text, running);
    return running;
  }

  return {
    async embed(texts, signal) {
      throwIfCancelled(signal);
      if (closed) throw closed;
      if (texts.length === 0) return [];
      return new Promise((resolve, reject) => {
        const vectors: Float32Array[] = Array.from({ length: texts.length });
        let missing = texts.length;
        const request: Request = {
          texts,
          next: 0,
          settled: false,
          give(index, vector) {
            vectors[index] = vector.slice(); // the cache keeps its own
            if (--missing > 0 || request.settled) return;
            settle();
            resolve(vectors);
          },
          fail(error) {
            if (request.settled) return;
            settle();
            // Errors come from the model's worker or from `cancelled`.
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        };
        const cancel = () => request.fail(cancelled(signal));
        const settle = () => {
          request.settled = true;
          signal.removeEventListener("abort", cancel);
        };
        signal.addEventListener("abort", cancel, { once: true });
        (texts.length <= urgentTextsMax ? urgent : batches).push(request);
        pump();
      });
    },
    close(reason) {
      closed = reason;
      for (const request of [...urgent, ...batches]) request.fail(reason);
    },
  };
}

/** Takes the settled requests from the front of the line. */
function drop(line: Request[]): void {
  while (line[0]?.settled) line.shift();
}
