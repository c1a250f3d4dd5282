import { Worker } from "node:worker_threads";
import { embedderUnavailable } from "./embedder.ts";

export interface ModelWorker {
  /** The texts' vectors, in their order; calls are answered in the order given. */
  embed(texts: readonly string[]): Promise<readonly Float32Array[]>;
  /** Calls that are not answered. */
  owed(): number;
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (vectors: readonly Float32Array[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A thread that runs the script, which answers each list of texts posted to it with a list of vectors, in order.
 * It starts with the first call. When it dies, what it owed fails, and the next call starts another.
 * While nothing is owed it keeps no process alive.
 */
export function modelWorker(script: URL): ModelWorker {
  let current: { readonly worker: Worker; readonly owed: Waiting[] } | undefined;

  function start() {
    const worker = new Worker(script);
    const owed: Waiting[] = [];
    const started = { worker, owed };
    const die = (message: string, cause?: unknown) => {
      if (current === started) current = undefined;
      for (const { reject } of owed.splice(0)) reject(embedderUnavailable(message, cause));
    };
    worker.on("message", (vectors: readonly Float32Array[]) => {
      owed.shift()?.resolve(vectors);
      if (owed.length === 0) worker.unref();
    });
    // Answers that were on their way arrive between the error and the exit.
    let failure: unknown;
    worker.on("error", (error) => {
      failure = error;
    });
    worker.on("exit", () =>
      failure === undefined
        ? die("the embedding model has stopped")
        : die("the embedding model has failed", failure),
    );
    return started;
  }

  return {
    embed: (texts) =>
      new Promise((resolve, reject) => {
        current ??= start();
        current.owed.push({ resolve, reject });
        current.worker.ref();
        current.worker.postMessage(texts);
      }),
    owed: () => current?.owed.length ?? 0,
    async close() {
      await current?.worker.terminate();
    },
  };
}
