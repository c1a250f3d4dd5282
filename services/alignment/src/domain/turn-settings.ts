import {
  type AgentSettings,
  BusyPolicy,
  ContextMode,
  JudgementMode,
  SelectionKind,
  type SelectionStrategy as StrategyMessage,
} from "@soldier/proto/config/v1/agent";
import {
  type SelectionStrategy,
  selectionDefaults,
  selectionFor,
} from "@soldier/retrieval/selection";
import { z } from "zod";

const share = z.number().min(0).max(1);
const count = z.int().min(0).max(1_000);

/** Every strategy's parameters side by side, so that the kind alone can be changed. */
const selectionTable = (fallback: SelectionStrategy) =>
  z
    .strictObject({
      kind: z
        .enum(["fixed_k", "elbow", "adaptive_k", "entropy", "clustering"])
        .default(fallback.kind),
      min_k: count.default(fallback.min_k),
      max_k: count.min(1).default(fallback.max_k),
      min_score: share.default(fallback.min_score),
      k: count.default(selectionDefaults.fixed_k.k),
      drop: share.default(selectionDefaults.elbow.drop),
      alpha: z.number().positive().default(selectionDefaults.adaptive_k.alpha),
      ks: z.tuple([count, count, count]).default([...selectionDefaults.entropy.ks]),
      eps: share.default(selectionDefaults.clustering.eps),
      min_size: count.min(1).default(selectionDefaults.clustering.min_size),
      top: count.min(1).default(selectionDefaults.clustering.top),
    })
    .prefault({});

type SelectionTable = z.output<ReturnType<typeof selectionTable>>;

/** Steps that an agent or a deployment may do without; the others are what makes a turn a turn. */
export const optionalSteps = [
  "reconcile",
  "extract-context",
  "retrieve",
  "rerank",
  "filter-rules",
  "adjudicate-scenario",
  "resolve-relations",
  "navigate-scenario",
  "execute-tools",
  "enforce",
] as const;

/** How turns are processed where the agent does not say otherwise: keys of the [alignment] tables. */
export const turnDefaults = {
  busy_policy: z.enum(["queue", "reject", "supersede"]).default("queue"),
  disabled_steps: z.array(z.enum(optionalSteps)).default([]),
  judgement: z.enum(["fused", "separate", "scores"]).default("fused"),
  context: z.enum(["llm", "embedding_only", "disabled"]).default("llm"),
  history_turns_max: z.int().min(0).max(200).default(20),
  turn_timeout_ms: z.int().min(100).max(600_000).default(30_000),
  matching: z
    .strictObject({
      vector_weight: share.default(0.7),
      bm25_weight: share.default(0.3),
      midpoint: share.default(0.25),
      slope: z.number().min(0).max(1_000).default(16),
      match_threshold: share.default(0.5),
      certain_threshold: share.default(0.9),
      lead: share.default(0.03),
    })
    .prefault({}),
  navigation: z
    .strictObject({
      transition_threshold: share.default(0.65),
      sanity_threshold: share.default(0.35),
      entry_threshold: share.default(0.65),
      margin: share.default(0.1),
      relocalisation_threshold: share.default(0.7),
      auto_advance_max: z.int().min(0).max(50).default(5),
      step_visits_max: z.int().min(1).max(100).default(5),
      loop_window_turns: z.int().min(1).max(100).default(10),
      low_confidence_turns_max: z.int().min(1).max(100).default(3),
    })
    .prefault({}),
  generation: z
    .strictObject({
      temperature: z.union([z.literal("default"), z.number().min(0).max(2)]).default("default"),
      speculative: z.boolean().default(false),
      reply_tokens_max: z.int().min(1).max(100_000).default(1_024),
      prompt_tokens_max: z.int().min(100).max(1_000_000).default(8_000),
      remembered_tokens_max: z.int().min(0).max(1_000_000).default(2_000),
      regenerations_max: z.int().min(0).max(5).default(1),
      self_critique: z.boolean().default(false),
    })
    .prefault({}),
  selection: z
    .strictObject({
      rules: selectionTable(selectionFor.rules),
      scenarios: selectionTable(selectionFor.scenarios),
      memory: selectionTable(selectionFor.memory),
    })
    .prefault({}),
};

const turnDefaultsTable = z.object(turnDefaults);
export type TurnDefaults = z.output<typeof turnDefaultsTable>;

/** How the turns of one agent are processed: its own settings over the deployment's. */
export interface TurnSettings extends Omit<
  TurnDefaults,
  "disabled_steps" | "selection" | "generation"
> {
  readonly generation: TurnDefaults["generation"] & {
    /** The agent's own, as "provider:model"; empty for the deployment's. */
    readonly model: string;
  };
  readonly disabled_steps: ReadonlySet<string>;
  readonly selection: Readonly<Record<"rules" | "scenarios" | "memory", SelectionStrategy>>;
  /** The agent's own FALLBACK template; empty for none. */
  readonly fallback_template_id: string;
}

export function turnSettings(
  agent: AgentSettings | undefined,
  defaults: TurnDefaults,
): TurnSettings {
  const optional: readonly string[] = optionalSteps;
  const switchedOff = (agent?.disabledSteps ?? []).filter((step) => optional.includes(step));
  return {
    busy_policy: busyPolicies[agent?.busyPolicy ?? 0] ?? defaults.busy_policy,
    disabled_steps: new Set([...defaults.disabled_steps, ...switchedOff]),
    judgement: judgements[agent?.judgement ?? 0] ?? defaults.judgement,
    context: contexts[agent?.context ?? 0] ?? defaults.context,
    history_turns_max: agent?.historyTurnsMax ?? defaults.history_turns_max,
    turn_timeout_ms: milliseconds(agent?.turnTimeout) ?? defaults.turn_timeout_ms,
    matching: {
      ...defaults.matching,
      ...set({
        vector_weight: agent?.matching?.vectorWeight,
        bm25_weight: agent?.matching?.bm25Weight,
        midpoint: agent?.matching?.midpoint,
        slope: agent?.matching?.slope,
        lead: agent?.matching?.lead,
        match_threshold: agent?.matching?.matchThreshold,
        certain_threshold: agent?.matching?.certainThreshold,
      }),
    },
    navigation: {
      ...defaults.navigation,
      ...set({
        transition_threshold: agent?.navigation?.transitionThreshold,
        sanity_threshold: agent?.navigation?.sanityThreshold,
        entry_threshold: agent?.navigation?.entryThreshold,
        margin: agent?.navigation?.margin,
        relocalisation_threshold: agent?.navigation?.relocalisationThreshold,
        auto_advance_max: agent?.navigation?.autoAdvanceMax,
        step_visits_max: agent?.navigation?.stepVisitsMax,
        loop_window_turns: agent?.navigation?.loopWindowTurns,
        low_confidence_turns_max: agent?.navigation?.lowConfidenceTurnsMax,
      }),
    },
    generation: {
      model: agent?.generation?.model ?? "",
      ...defaults.generation,
      ...set({
        temperature: agent?.generation?.temperature,
        speculative: agent?.generation?.speculative,
        reply_tokens_max: agent?.generation?.replyTokensMax,
        prompt_tokens_max: agent?.generation?.promptTokensMax,
        remembered_tokens_max: agent?.generation?.rememberedTokensMax,
        regenerations_max: agent?.generation?.regenerationsMax,
        self_critique: agent?.generation?.selfCritique,
      }),
    },
    selection: {
      rules: strategy(agent?.ruleSelection, defaults.selection.rules),
      scenarios: strategy(agent?.scenarioSelection, defaults.selection.scenarios),
      memory: strategy(agent?.memorySelection, defaults.selection.memory),
    },
    fallback_template_id: agent?.fallbackTemplateId ?? "",
  };
}

const busyPolicies: Partial<Record<BusyPolicy, TurnDefaults["busy_policy"]>> = {
  [BusyPolicy.QUEUE]: "queue",
  [BusyPolicy.REJECT]: "reject",
  [BusyPolicy.SUPERSEDE]: "supersede",
};

const judgements: Partial<Record<JudgementMode, TurnDefaults["judgement"]>> = {
  [JudgementMode.FUSED]: "fused",
  [JudgementMode.SEPARATE]: "separate",
  [JudgementMode.SCORES]: "scores",
};

const contexts: Partial<Record<ContextMode, TurnDefaults["context"]>> = {
  [ContextMode.LLM]: "llm",
  [ContextMode.EMBEDDING_ONLY]: "embedding_only",
  [ContextMode.DISABLED]: "disabled",
};

const kinds: Partial<Record<SelectionKind, SelectionStrategy["kind"]>> = {
  [SelectionKind.FIXED_K]: "fixed_k",
  [SelectionKind.ELBOW]: "elbow",
  [SelectionKind.ADAPTIVE_K]: "adaptive_k",
  [SelectionKind.ENTROPY]: "entropy",
  [SelectionKind.CLUSTERING]: "clustering",
};

/** The strategy that an agent's message describes, over the deployment's own numbers. */
function strategy(
  message: StrategyMessage | undefined,
  fallback: SelectionTable,
): SelectionStrategy {
  const table: SelectionTable = {
    ...fallback,
    ...set({
      kind: kinds[message?.kind ?? 0],
      min_k: message?.minK,
      max_k: message?.maxK,
      min_score: message?.minScore ?? ownMinScore(message, fallback),
      k: message?.k,
      drop: message?.drop,
      alpha: message?.alpha,
      eps: message?.eps,
      min_size: message?.clusterSizeMin,
      top: message?.clusterTop,
      ks: threeOf(message?.entropyKs),
    }),
  };
  const { min_k, max_k, min_score } = table;
  const bounds = { min_k, max_k, min_score };
  switch (table.kind) {
    case "fixed_k":
      return { kind: table.kind, k: table.k, ...bounds };
    case "elbow":
      return { kind: table.kind, drop: table.drop, ...bounds };
    case "adaptive_k":
      return { kind: table.kind, alpha: table.alpha, ...bounds };
    case "entropy":
      return { kind: table.kind, ks: table.ks, ...bounds };
    case "clustering": {
      const { kind, eps, min_size, top } = table;
      return { kind, eps, min_size, top, ...bounds };
    }
  }
}

/** Another kind than the deployment's begins from its own least score. */
function ownMinScore(
  message: StrategyMessage | undefined,
  fallback: SelectionTable,
): number | undefined {
  const kind = kinds[message?.kind ?? 0];
  return kind === undefined || kind === fallback.kind
    ? undefined
    : selectionDefaults[kind].min_score;
}

function threeOf(ks: readonly number[] | undefined): [number, number, number] | undefined {
  const [first, second, third, ...more] = ks ?? [];
  if (first === undefined || second === undefined || third === undefined || more.length > 0)
    return undefined;
  return [first, second, third];
}

/** Only the entries that have a value. */
function set<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  // What is left has a value under each key: that is what the type says.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function milliseconds(
  duration: { readonly seconds: bigint; readonly nanos: number } | undefined,
): number | undefined {
  if (!duration) return undefined;
  return Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000;
}
