import { LRUCache } from "lru-cache";
import { cancelled, throwIfCancelled } from "./cancelled.ts";

/** Requests of at most this many texts go first: somebody waits for them, as for a query's vector. */
const urgentTextsMax = 4;
/** After so many urgent texts in a row a batch has its turn, so that no batch starves. */
const urgentInARowMax = 8;
/** Of each model: two, so that it has the next text at hand while the last answer is on its way. */
const inFlightMax = 2;
/** Recent texts and their vectors; a message is often embedded by several services in a row. */
const cacheSizeBytes = 8 * 2 ** 20;
/**
 * Texts of a batch that the model takes together, as one pass over its weights serves all of them. No
 * more than this, since a query that comes meanwhile waits for the pass.
 */
const togetherMax = 8;
const togetherLengthMax = 400;

interface Request {
  readonly texts: readonly string[];
  /** How many of them were given to it. */
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

/** What takes several texts, and answers in their order. */
type Model = (texts: readonly string[]) => Promise<readonly Float32Array[]>;

/**
 * Shares a model that does one thing at a time, or several of them, among many requests. Small requests go before batches,
 * text by text; batches take turns, a few texts at a time. A failure fails the requests whose texts it was.
 */
export function embeddingQueue(run: Model, models = 1): EmbeddingQueue {
  const cache = new LRUCache<string, Float32Array>({
    maxSize: cacheSizeBytes,
    sizeCalculation: (vector, text) => vector.byteLength + 2 * text.length + 1,
  });
  const urgent: Request[] = [];
  const batches: Request[] = [];
  /** By the texts that the model has. */
  const inFlight = new Map<string, PromiseWithResolvers<Float32Array>>();
  let running = 0;
  let batchesRunning = 0;
  let urgentInARow = 0;
  let closed: Error | undefined;

  /** Whose texts are next. Beside a batch a model has room for queries only, or they would wait for two. */
  function choose(): "urgent" | "batch" | undefined {
    drop(urgent);
    drop(batches);
    const hasBatch = batches.length > 0 && batchesRunning < models;
    if (urgent.length > 0 && !(hasBatch && urgentInARow >= urgentInARowMax)) {
      urgentInARow++;
      return "urgent";
    }
    if (!hasBatch) return undefined;
    urgentInARow = 0;
    return "batch";
  }

  function pump(): void {
    while (running < inFlightMax * models) {
      const line = choose();
      if (!line) return;
      const request = line === "urgent" ? urgent.shift() : batches.shift();
      if (!request) return;
      const texts = take(request, line === "urgent" ? 1 : togetherMax);
      if (request.next < request.texts.length)
        if (line === "urgent") urgent.unshift(request);
        else batches.push(request);
      if (texts.length > 0) start(texts, line === "batch");
    }
  }

  /** The request's next texts that the model has to be given; what is known or on its way is not. */
  function take(request: Request, most: number): readonly string[] {
    const texts: string[] = [];
    let length = 0;
    for (; request.next < request.texts.length; request.next++) {
      const index = request.next;
      const text = request.texts[index] ?? "";
      const known = cache.get(text);
      if (known) {
        request.give(index, known);
        continue;
      }
      if (!inFlight.has(text)) {
        const fits = texts.length < most && length + text.length <= togetherLengthMax;
        if (texts.length > 0 && !fits) break;
        texts.push(text);
        length += text.length;
        inFlight.set(text, owed());
      }
      inFlight.get(text)?.promise.then(
        (vector) => request.give(index, vector),
        (error: unknown) => request.fail(error),
      );
    }
    return texts;
  }

  function start(texts: readonly string[], isBatch: boolean): void {
    running++;
    if (isBatch) batchesRunning++;
    run(texts)
      .then(
        (vectors) =>
          texts.forEach((text, i) => {
            const vector = vectors[i] ?? new Float32Array();
            cache.set(text, vector);
            inFlight.get(text)?.resolve(vector);
          }),
        (error: unknown) => {
          for (const text of texts) inFlight.get(text)?.reject(error);
        },
      )
      .finally(() => {
        for (const text of texts) inFlight.delete(text);
        running--;
        if (isBatch) batchesRunning--;
        queueMicrotask(pump);
      });
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
        (texts.length > urgentTextsMax ? batches : urgent).push(request);
        pump();
      });
    },
    close(reason) {
      closed = reason;
      for (const request of [...urgent, ...batches]) request.fail(reason);
    },
  };
}

function owed(): PromiseWithResolvers<Float32Array> {
  const answer = Promise.withResolvers<Float32Array>();
  answer.promise.catch(() => {}); // told to each request that waits for it
  return answer;
}

/** Takes the settled requests from the front of the line. */
function drop(line: Request[]): void {
  while (line[0]?.settled) line.shift();
}
