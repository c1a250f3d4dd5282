import type { Client } from "@connectrpc/connect";
import type { Embedder } from "@soldier/ai/embedder";
import { detached } from "@soldier/chassis/current";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import type { ConfigService } from "@soldier/proto/config/v1/config_service";
import { centroid } from "@soldier/retrieval/vectors";
import { LRUCache } from "lru-cache";
import {
  compileBundle,
  type CompiledBundle,
  textsToMatch,
  valuesByVariable,
  vectorsOf,
} from "../domain/compiled-bundle.ts";
import type { TurnDefaults } from "../domain/turn-settings.ts";
import type { Bundles } from "../pipeline/means.ts";
import type { BundleSpares } from "./bundle-spares.ts";
import { fetchBundle } from "./fetch-bundle.ts";

export interface BundleCacheOptions {
  readonly config: Client<typeof ConfigService>;
  readonly embedder: Embedder;
  readonly defaults: TurnDefaults;
  readonly clock: Clock;
  readonly log: Log;
  /** A version and its values are asked for again after so long, in case the news was lost. */
  readonly recheckMs: number;
  readonly bundlesMax: number;
  /** Of all that are held, serialised; one that is larger by itself is held alone. */
  readonly bundlesMaxBytes: number;
  /** Larger bundles are refused. */
  readonly bundleMaxBytes: number;
  readonly spares: BundleSpares;
}

export interface BundleCache extends Bundles {
  /** Another version is live, or other values of variables: the next turn of this agent asks. */
  published(tenantId: string, agent: { readonly id: string; readonly slug: string }): void;
}

interface Entry {
  /** Replaced as a whole when values change, so that turns that run keep what they began with. */
  compiled: CompiledBundle;
  /** When the answer was asked for that it is from. */
  checkedAtMs: number;
  /** News from before this are in it only if they came before it was asked for. */
  newsAtMs: number;
  readonly sizeBytes: number;
  /** When it was last left for other replicas, with these values. */
  sparedAtMs: number;
}

/** Of an agent, beside its id. */
interface Name {
  /** Of the id. */
  readonly key: string;
  /** When config last knew the agent by it. */
  readonly checkedAtMs: number;
}

/** Embeds no more texts than this at once, so that turns in between are not kept waiting. */
const batchSize = 64;

/**
 * Versions that turns run on, each fetched and compiled once however many turns want it, and held
 * until others push it out. While config can't be reached turns go on with what is held.
 */
export function bundleCache(options: BundleCacheOptions): BundleCache {
  const { config, embedder, defaults, clock, log, recheckMs, bundlesMax, bundlesMaxBytes, spares } =
    options;
  const patient = { maxBytes: options.bundleMaxBytes, attemptsMax: 6 };
  const impatient = { ...patient, attemptsMax: 2 };
  /** By agent id. */
  const entries = new LRUCache<string, Entry>({
    max: bundlesMax,
    maxSize: bundlesMaxBytes,
    sizeCalculation: ({ sizeBytes }) => Math.min(Math.max(1, sizeBytes), bundlesMaxBytes),
  });
  /** Other names that agents were asked for by. */
  const names = new LRUCache<string, Name>({ max: bundlesMax });
  const loading = new Map<string, Promise<CompiledBundle>>();

  function heldOf(tenantId: string, agent: string): Entry | undefined {
    const key = keyOf(tenantId, agent);
    return entries.get(names.get(key)?.key ?? key);
  }

  /** As config, or a spare, has just answered to that name of the agent. */
  function hold(tenantId: string, agent: string, entry: Entry): void {
    const key = keyOf(tenantId, entry.compiled.agentId);
    entries.set(key, entry);
    named(tenantId, agent, entry);
  }

  function named(tenantId: string, agent: string, { compiled, checkedAtMs }: Entry): void {
    if (agent === compiled.agentId) return;
    names.set(keyOf(tenantId, agent), { key: keyOf(tenantId, compiled.agentId), checkedAtMs });
  }

  async function load(tenantId: string, agent: string): Promise<CompiledBundle> {
    const key = keyOf(tenantId, agent);
    const held = heldOf(tenantId, agent);
    const askedAtMs = clock.monotonicMs();
    // From time to time all of it is asked for, to be left for others once more.
    const spared = held && askedAtMs - held.sparedAtMs < spareAgainMs;
    try {
      const wish = { agentId: agent, knownVersion: BigInt(spared ? held.compiled.version : 0) };
      // Turns can go on with what is held.
      const { bundle, bytes, variableValues } = await fetchBundle(
        config,
        wish,
        held ? impatient : patient,
      );
      const values = valuesByVariable(variableValues);
      if (!bundle) {
        if (!held) throw new Error(`config sent no bundle of ${agent}`);
        // By its other name it may have been asked for later and answered before.
        if (askedAtMs < held.checkedAtMs) return held.compiled;
        held.compiled = { ...held.compiled, variableValues: values };
        held.checkedAtMs = askedAtMs;
        named(tenantId, agent, held);
        return held.compiled;
      }
      void spares.keep(tenantId, { bundle, bytes, variableValues });
      const version = sameVersion(tenantId, bundle) ?? (await compile(bundle));
      const compiled = { ...version, variableValues: values };
      hold(tenantId, agent, {
        compiled,
        checkedAtMs: askedAtMs,
        newsAtMs: held?.newsAtMs ?? never,
        sizeBytes: bytes.byteLength,
        sparedAtMs: askedAtMs,
      });
      return compiled;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (held && passing.has(error.kind)) {
        log.warn({ agent, reason: error.reason }, "config is away; turns go on with what is held");
        held.checkedAtMs = askedAtMs;
        named(tenantId, agent, held);
        return held.compiled;
      }
      const spare = passing.has(error.kind) ? await spares.spare(tenantId, agent) : undefined;
      if (spare) {
        log.warn(
          { agent, reason: error.reason },
          "config is away; turns begin with a spare bundle",
        );
        const version = await compile(spare.bundle);
        const variableValues = valuesByVariable(spare.variableValues);
        const compiled = { ...version, variableValues };
        const { sizeBytes } = spare;
        const checkedAtMs = clock.monotonicMs();
        hold(tenantId, agent, {
          compiled,
          checkedAtMs,
          newsAtMs: never,
          sizeBytes,
          sparedAtMs: never,
        });
        return compiled;
      }
      // An agent that is gone by this name may have another.
      if (!names.delete(key)) entries.delete(key);
      throw error;
    }
  }

  function isFresh({ checkedAtMs, newsAtMs }: Entry): boolean {
    return checkedAtMs > newsAtMs && clock.monotonicMs() - checkedAtMs < recheckMs;
  }

  function isNameFresh(key: string): boolean {
    const name = names.get(key);
    return !name || clock.monotonicMs() - name.checkedAtMs < nameRecheckMs;
  }

  function sameVersion(tenantId: string, bundle: Bundle): CompiledBundle | undefined {
    const known = heldOf(tenantId, bundle.agentId)?.compiled;
    return known?.version === Number(bundle.version) ? known : undefined;
  }

  async function compile(bundle: Bundle): Promise<CompiledBundle> {
    const startedMs = clock.monotonicMs();
    const vectors = new Map<string, Float32Array>();
    const table = bundle.embeddings;
    const usable = table?.model === embedder.model && table.dimensions === embedder.dimensions;
    if (table && usable) for (const [text, vector] of vectorsOf(table)) vectors.set(text, vector);
    // Vectors of another model are worth nothing here.
    const missing = textsToMatch(bundle).filter(({ text }) => !vectors.has(text));
    for (let from = 0; from < missing.length; from += batchSize) {
      const batch = missing.slice(from, from + batchSize);
      const views = batch.flatMap((each) => each.views);
      const made = await embedder.embed(views, timeoutSignal(embedTimeoutMs));
      const byView = new Map(views.map((view, i) => [view, made[i]]));
      for (const { text, views: own } of batch) {
        const found = own.flatMap((view) => byView.get(view) ?? []);
        vectors.set(text, centroid(found, embedder.dimensions));
      }
    }
    const compiled = compileBundle(bundle, defaults, embedder.dimensions, (text) =>
      vectors.get(text),
    );
    log.info(
      {
        agent: compiled.agent.slug,
        version: compiled.version,
        rules: compiled.rules.length,
        embedded: missing.length,
        elapsed_ms: Math.round(clock.monotonicMs() - startedMs),
      },
      "compiled a bundle",
    );
    return compiled;
  }

  return {
    async current(tenantId, agent) {
      const key = keyOf(tenantId, agent);
      const held = heldOf(tenantId, agent);
      if (held && isFresh(held) && isNameFresh(key)) return held.compiled;
      const running = loading.get(key);
      if (running) return running;
      // Others wait for it, too: it must not end with the call that happened to be first.
      const load_ = detached(() => load(tenantId, agent)).finally(() => loading.delete(key));
      loading.set(key, load_);
      return load_;
    },
    async version(tenantId, agent, version) {
      const live = heldOf(tenantId, agent)?.compiled;
      if (live && BigInt(live.version) === version) return this.current(tenantId, agent);
      const { bundle, variableValues } = await fetchBundle(
        config,
        { agentId: agent, version },
        patient,
      );
      if (!bundle) throw new Error(`config sent no bundle of ${agent} version ${version}`);
      return { ...(await compile(bundle)), variableValues: valuesByVariable(variableValues) };
    },
    async source(agent, version) {
      const { bundle } = await fetchBundle(config, { agentId: agent, version }, patient);
      if (!bundle) throw new Error(`config sent no bundle of ${agent} version ${version}`);
      return bundle;
    },
    async trial(agent, document) {
      const { bundle, variableValues } = await fetchBundle(
        config,
        { agentId: agent, trial: { ...(document && { document }) } },
        patient,
      );
      if (!bundle) throw new Error(`config compiled no bundle of ${agent}`);
      return { ...(await compile(bundle)), variableValues: valuesByVariable(variableValues) };
    },
    published(tenantId, { id, slug }) {
      for (const agent of [id, slug]) {
        const held = heldOf(tenantId, agent);
        if (held) held.newsAtMs = clock.monotonicMs();
      }
    },
  };
}

const embedTimeoutMs = 120_000;

/** How often a bundle is left for other replicas again: Redis may have lost it, or be about to. */
const spareAgainMs = 3_600_000;

/** A slug may be given to another agent. */
const nameRecheckMs = 30_000;

const never = Number.NEGATIVE_INFINITY;

/** Faults that say nothing about the agent. */
const passing: ReadonlySet<Fault["kind"]> = new Set([
  "unavailable",
  "deadline",
  "exhausted",
  "cancelled",
  "internal",
]);

function keyOf(tenantId: string, agent: string): string {
  return `${tenantId}\u0000${agent}`;
}
