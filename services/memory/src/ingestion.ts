import type { Embedder } from "@soldier/ai/embedder";
import type { LanguageModel } from "@soldier/ai/language-model";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { z } from "zod";
import type { StageName } from "./domain/episode.ts";
import type { Extractor } from "./extract/extractor.ts";
import type { KnownName } from "./extract/lexicon.ts";
import { modelExtractor } from "./extract/model-extractor.ts";
import { patternWorker } from "./extract/pattern-worker.ts";
import { embedEpisodes } from "./ingest/embed-episodes.ts";
import { extractEpisodes } from "./ingest/extract-episodes.ts";
import {
  extractionCost,
  extractionFallbacks,
  extractionTokens,
} from "./ingest/ingestion-metrics.ts";
import { resolveEpisodes } from "./ingest/resolve-episodes.ts";
import { sessionsAtRest } from "./ingest/sessions-at-rest.ts";
import { startStage, type StageWorkerOptions } from "./ingest/stage-worker.ts";
import type { IngestionBacklogs } from "./store/ingestion-backlogs.ts";
import type { ResolutionStore } from "./store/resolution-store.ts";
import type { SummaryStore } from "./store/summary-store.ts";
import { byExtraction, byModel } from "./summaries/summarise.ts";
import { summariseGroups } from "./summaries/summarise-groups.ts";

/** Keys of the `[memory]` table. */
export const ingestionSettings = {
  embed_batch: z.int().min(1).max(256),
  embed_busy_share: z.number().min(0.01).max(1),
  embed_behind_ms: z.int().min(1).max(3_600_000),
  embed_poll_ms: z.int().min(10).max(60_000),
  embed_retry_ms: z.int().min(1).max(3_600_000),
  embed_retry_max_ms: z.int().min(1).max(86_400_000),
  extraction: z.enum(["patterns", "model", "off"]),
  extract_batch: z.int().min(1).max(256),
  extract_turns: z.int().min(1).max(50),
  extract_idle_ms: z.int().min(0).max(86_400_000),
  extract_country: z.string().regex(/^(?:[A-Z]{2})?$/, "must be two capital letters, or empty"),
  extract_organisations: z.array(z.string().min(1).max(256)).max(10_000),
  extract_products: z.array(z.string().min(1).max(256)).max(10_000),
  extract_identifiers: z.record(
    z.string().regex(/^[a-z][a-z0-9_.]{0,62}$/),
    z.string().min(1).max(1_000),
  ),
  summaries: z.enum(["model", "extractive", "off"]),
};
export type IngestionSettings = z.output<z.ZodObject<typeof ingestionSettings>>;

/** The stages that a new episode is entered for. What is extracted is entered for its resolution then. */
export function stagesEntered(
  { extraction, summaries }: IngestionSettings,
  hasNextModel: boolean,
): readonly StageName[] {
  const next: readonly StageName[] = hasNextModel ? ["embedded_next"] : [];
  const extracted: readonly StageName[] = extraction === "off" ? [] : ["extracted"];
  const summarised: readonly StageName[] = summaries === "off" ? [] : ["summarised"];
  return ["embedded", ...next, ...extracted, ...summarised];
}

export interface IngestionOptions {
  readonly settings: IngestionSettings;
  readonly backlogs: IngestionBacklogs;
  readonly embedder: Embedder;
  /** The one that is to follow it, for which vectors are made beside; undefined for none. */
  readonly nextEmbedder: Embedder | undefined;
  /** Undefined: keyless. */
  readonly model: LanguageModel | undefined;
  /** The same, of the model that summarises. */
  readonly summariser: LanguageModel | undefined;
  readonly summaries: SummaryStore;
  readonly resolutions: ResolutionStore;
  readonly busy: () => boolean;
  readonly now: () => Date;
  readonly monotonicMs: () => number;
  readonly log: Log;
  readonly opened: AsyncDisposableStack;
}

/** Longest that a batch of episodes may take. */
const embedTimeoutMs = 30_000;
const extractTimeoutMs = 120_000;
const resolveTimeoutMs = 30_000;
const resolveBatch = 32;
const summariseTimeoutMs = 120_000;
const summariseBatch = 64;

/** The stages of ingestion, at work until `opened` is disposed. */
export function startIngestion(options: IngestionOptions): {
  /** There is something new. */
  readonly poke: () => void;
} {
  const { settings, backlogs, embedder, resolutions, opened } = options;
  const { busy, now, monotonicMs, log } = options;
  const working = {
    pollMs: settings.embed_poll_ms,
    retryMs: settings.embed_retry_ms,
    retryMaxMs: settings.embed_retry_max_ms,
    busyShare: settings.embed_busy_share,
    behindMs: settings.embed_behind_ms,
    passed: () => {},
    busy,
    now,
    monotonicMs,
    log,
  };
  const start = <T>(
    own: Omit<StageWorkerOptions<T>, keyof typeof working> & { passed?: () => void },
  ) => opened.use(startStage<T>({ ...working, ...own }));

  const embedding = start({
    stage: "embedded",
    backlog: backlogs.embedded,
    work: embedEpisodes(embedder),
    batch: settings.embed_batch,
    timeoutMs: embedTimeoutMs,
  });
  const embeddingNext =
    options.nextEmbedder &&
    backlogs.embeddedNext &&
    start({
      stage: "embedded_next",
      backlog: backlogs.embeddedNext,
      work: embedEpisodes(options.nextEmbedder),
      batch: settings.embed_batch,
      timeoutMs: embedTimeoutMs,
    });
  // What was extracted before extraction was turned off is resolved all the same.
  const resolving = start({
    stage: "resolved",
    backlog: backlogs.resolved,
    work: resolveEpisodes(resolutions),
    batch: resolveBatch,
    timeoutMs: resolveTimeoutMs,
  });
  // Not woken by news: nobody waits for a summary, and in a second's news many groups are looked at as one.
  startSummarising(options, start);
  const begin = () => {
    embedding.poke();
    embeddingNext?.poke();
  };
  if (settings.extraction === "off") return { poke: begin };

  const work = extractEpisodes(extractorOf(options), resolutions, namesOf(settings));
  const readsByModel = settings.extraction === "model" && options.model !== undefined;
  const rest = { turnsMax: settings.extract_turns, idleMs: settings.extract_idle_ms, now };
  const extracting = start({
    stage: "extracted",
    backlog: backlogs.extracted,
    work: readsByModel ? sessionsAtRest(work, rest) : work,
    passed: () => resolving.poke(),
    batch: settings.extract_batch,
    timeoutMs: extractTimeoutMs,
  });
  return {
    poke: () => {
      begin();
      extracting.poke();
    },
  };
}

/** By a model where there is one; what was turned off is entered for no summary, and needs no worker. */
function startSummarising(
  { settings, backlogs, embedder, summariser, summaries }: IngestionOptions,
  start: (
    own: Pick<StageWorkerOptions<never>, "stage" | "backlog" | "work" | "batch" | "timeoutMs">,
  ) => void,
): void {
  if (settings.summaries === "off") return;
  const byWords = settings.summaries === "extractive" || summariser === undefined;
  const summarise = byWords ? byExtraction : byModel(summariser);
  start({
    stage: "summarised",
    backlog: backlogs.summarised,
    work: summariseGroups(summaries, embedder, summarise),
    batch: summariseBatch,
    timeoutMs: summariseTimeoutMs,
  });
}

function namesOf(settings: IngestionSettings): readonly KnownName[] {
  return [
    ...settings.extract_organisations.map((name) => ({ name, type: "organisation" }) as const),
    ...settings.extract_products.map((name) => ({ name, type: "product" }) as const),
  ];
}

/** Throws when a model is wanted and there is none, or a pattern of an identifier is none. */
function extractorOf({ settings, model, resolutions, log, opened }: IngestionOptions): Extractor {
  const identifiers = settings.extract_identifiers;
  const patterns = patternWorker({ identifiers, country: settings.extract_country }, opened);
  if (settings.extraction !== "model") return patterns;
  if (!model)
    throw new Fault(
      "precondition",
      'extraction = "model" in [memory] needs a model: set [model], or extraction = "patterns"',
      { reason: "MEMORY_SETTINGS" },
    );
  return modelExtractor({
    model,
    fallback: patterns,
    entities: (tenantId, groupId) => resolutions.entities(tenantId, groupId),
    predicates: (tenantId) => resolutions.predicates(tenantId),
    called: ({ model: id, usage, costMicros }) => {
      extractionTokens.inc({ model: id, direction: "input" }, usage?.inputTokens ?? 0);
      extractionTokens.inc({ model: id, direction: "output" }, usage?.outputTokens ?? 0);
      extractionCost.inc({ model: id }, costMicros ?? 0);
    },
    fellBack: (reason) => extractionFallbacks.inc({ reason }),
    log,
  });
}
