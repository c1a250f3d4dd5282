import { Worker } from "node:worker_threads";
import { Fault } from "@soldier/kernel/fault";
import type { Extraction } from "../domain/finding.ts";
import type { Extractor, Readable } from "./extractor.ts";
import { cue } from "./english/cues.ts";
import { identifierOf } from "./identifiers.ts";
import type { Identifier } from "./language.ts";
import { patternExtractor } from "./pattern-version.ts";

export interface PatternSettings {
  /** Regular expressions (RE2) by the predicates whose values they find. */
  readonly identifiers: Readonly<Record<string, string>>;
  /** Of phone numbers without a prefix; empty: such are not read. */
  readonly country: string;
}

interface Waiting {
  readonly resolve: (found: readonly Extraction[]) => void;
  readonly reject: (error: Error) => void;
}

/** Patterns make much that lasts for one text: left alone, V8 grows the room for it to 134 MB and is no faster. */
const resourceLimits = { maxYoungGenerationSizeMb: 24 };

/** Most texts say nothing that a pattern knows, and need no thread. */
function isWorthReading(text: string, identifiers: readonly Identifier[]): boolean {
  return cue.test(text) || identifiers.some((identifier) => identifier.in(text).length > 0);
}

/**
 * Patterns in a thread of their own, which starts with the first text and is closed with `opened`.
 * When it dies, what it was given fails, and the next text starts another. Throws when an identifier's
 * pattern is none.
 */
export function patternWorker(settings: PatternSettings, opened: AsyncDisposableStack): Extractor {
  const identified = Object.entries(settings.identifiers).map((each) => identifierOf(...each));
  let current: { readonly worker: Worker; readonly owed: Waiting[] } | undefined;

  function start() {
    const script = new URL("./pattern-thread.ts", import.meta.url);
    const worker = new Worker(script, { workerData: { ...settings }, resourceLimits });
    const started = { worker, owed: [] as Waiting[] };
    const die = (cause: unknown) => {
      if (current === started) current = undefined;
      const fault = new Fault("internal", "the reader of patterns has stopped", {
        reason: "PATTERNS_STOPPED",
        cause,
      });
      for (const { reject } of started.owed.splice(0)) reject(fault);
    };
    worker.on("message", (found: readonly Extraction[]) => {
      started.owed.shift()?.resolve(found);
      if (started.owed.length === 0) worker.unref();
    });
    worker.on("error", die);
    worker.on("exit", die);
    return started;
  }

  opened.defer(async () => {
    await current?.worker.terminate();
  });
  const read = (episodes: readonly Readable[], signal: AbortSignal) =>
    new Promise<readonly Extraction[]>((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error); // what it was aborted with
        return;
      }
      current ??= start();
      const { owed, worker } = current;
      const leave = () => reject(signal.reason as Error);
      signal.addEventListener("abort", leave, { once: true });
      owed.push({
        resolve: (found) => {
          signal.removeEventListener("abort", leave);
          resolve(found);
        },
        reject,
      });
      worker.ref();
      worker.postMessage(episodes);
    });

  return async (episodes, signal) => {
    const worthwhile = episodes.filter(({ episode }) => isWorthReading(episode.text, identified));
    const found = worthwhile.length > 0 ? await read(worthwhile, signal) : [];
    const byId = new Map(worthwhile.map(({ episode }, i) => [episode.id, found[i]]));
    return episodes.map(
      ({ episode }) => byId.get(episode.id) ?? { extractor: patternExtractor, findings: [] },
    );
  };
}
