import { Worker } from "node:worker_threads";
import { embedderUnavailable } from "./embedder.ts";

export interface ModelWorker {
  /** The text's vector; texts are answered in the order given. */
  embed(text: string): Promise<Float32Array>;
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (vector: Float32Array) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A thread that runs the script, which answers each text posted to it with one vector, in order. It
 * starts with the first text. When it dies, what it owed fails, and the next text starts another.
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
    worker.on("message", (vector: Float32Array) => {
      owed.shift()?.resolve(vector);
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
    embed: (text) =>
      new Promise((resolve, reject) => {
        current ??= start();
        current.owed.push({ resolve, reject });
        current.worker.ref();
        current.worker.postMessage(text);
      }),
    async close() {
      await current?.worker.terminate();
    },
  };
}
