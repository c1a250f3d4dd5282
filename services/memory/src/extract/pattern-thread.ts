// Runs in a worker thread of pattern-worker.ts: reading a sentence takes milliseconds, which a search
// on the main thread would have to wait for.
import { parentPort, workerData } from "node:worker_threads";
import { z } from "zod";
import type { Extraction } from "../domain/finding.ts";
import type { Readable } from "./extractor.ts";
import { identifierOf } from "./identifiers.ts";
import { lexiconOf } from "./lexicon.ts";
import { extractByPatterns } from "./pattern-extractor.ts";

const port = parentPort;
if (!port) throw new Error("pattern-thread.ts runs only as a worker thread");

const { identifiers, country } = z
  .object({ identifiers: z.record(z.string(), z.string()), country: z.string() })
  .parse(workerData);
const compiled = Object.entries(identifiers).map(([name, pattern]) => identifierOf(name, pattern));

port.on("message", (readable: readonly Readable[]) => {
  const read = ({ episode, names }: Readable): Extraction =>
    extractByPatterns(episode, {
      lexicon: lexiconOf(names),
      identifiers: compiled,
      country: country === "" ? undefined : country,
    });
  port.postMessage(readable.map(read));
});
