import { z } from "zod";

const durationMs = z.int().min(1).max(600_000);
const dollars = z.number().min(0).max(100_000);

/** What is set of any model. */
const connection = {
  /** The provider's name for the model. */
  model: z.string().trim().default(""),
  /** Secret; empty when there is none. */
  api_key: z.string().trim().default(""),
  /** Empty for the provider's own. */
  base_url: z.union([z.literal(""), z.url({ protocol: /^https?$/ })]).default(""),
  /** Of providers "openai" and "ollama": the header that the key is sent in; empty for a bearer token. */
  api_key_header: z
    .string()
    .regex(/^[\w-]*$/)
    .default(""),
  /** Of provider "openai", for Azure: sent as api-version with every call. */
  api_version: z.string().default(""),
  /** Of provider "ollama": room for prompt and answer; of a longer prompt it drops the beginning. */
  context_tokens: z.int().min(512).max(10_000_000).default(16_384),
  /** Calls at the same time; more wait. */
  concurrent_max: z.int().min(1).max(10_000).default(64),
  /** Calls that wait; more are refused at once. */
  waiting_max: z.int().min(0).max(100_000).default(256),
  /** For a whole answer, waiting for its turn included. */
  timeout_ms: durationMs.default(60_000),
  /** For its first word. */
  first_token_timeout_ms: durationMs.default(20_000),
  /** "auto" asks for as little as the model allows: a customer is waiting. */
  thinking: z.enum(["auto", "disabled", "between_tools", "adaptive"]).default("auto"),
  /** How thorough the model is; "default" leaves it to the provider. */
  effort: z.enum(["default", "low", "medium", "high", "xhigh", "max"]).default("default"),
  /** US dollars for a million tokens. Unset: those of a model that we know, else unknown. */
  prices: z
    .strictObject({
      input: dollars.optional(),
      output: dollars.optional(),
      /** Unset: as input. */
      cached: dollars.optional(),
      /** Unset: as input. */
      cache_write: dollars.optional(),
    })
    .refine(({ input, output }) => (input === undefined) === (output === undefined), {
      message: "input and output must be set together",
    })
    .refine(
      ({ input, cached, cache_write }) =>
        input !== undefined || (cached === undefined && cache_write === undefined),
      { message: "cached and cache_write need input and output" },
    )
    .prefault({}),
  /** What the provider "scripted" says: for tests and benchmarks. */
  scripted: z
    .strictObject({
      /** Said in turn, over and over. */
      replies: z.array(z.string()).min(1).default(["This is a scripted reply."]),
      /** JSON by the name of the shape asked for. */
      structured: z.record(z.string(), z.string()).default({}),
      delay_ms: z.int().min(0).max(600_000).default(0),
      word_delay_ms: z.int().min(0).max(600_000).default(0),
    })
    .prefault({}),
};

/** The [model] table. */
export const modelSettings = z.strictObject({
  /** Who writes and judges. "none" is keyless: templates and scores only; "auto" is anthropic with a key and none without. */
  provider: z.enum(["auto", "none", "anthropic", "openai", "ollama", "scripted"]).default("auto"),
  ...connection,
});
export type ModelSettings = z.output<typeof modelSettings>;

/** The name of the [model] table in chains. */
export const mainModel = "main";

/** The [models] table: further models by name. */
export const modelsSettings = z.record(
  z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/, "must be of lower-case letters, digits and _")
    .refine((name) => name !== mainModel, `"${mainModel}" is the model of [model]`),
  z.strictObject({
    provider: z.enum(["anthropic", "openai", "ollama", "scripted"]),
    ...connection,
  }),
);
export type ModelsSettings = z.output<typeof modelsSettings>;
export type FurtherModelSettings = ModelsSettings[string];

/** What a model is asked for: by a turn, and by the memory afterwards. */
export const modelSteps = [
  /** Context, rules and scenario, judged in one call. */
  "judge",
  /** The three of them alone. */
  "context",
  "rules",
  "scenario",
  /** Proposes tool calls. */
  "tools",
  /** Picks a template. */
  "choose",
  "generate",
  /** Judges constraints in natural language. */
  "check",
  "critique",
  /** Claims of what was said. */
  "extract",
  /** A few sentences that stand for many turns. */
  "summarise",
] as const;
export type ModelStep = (typeof modelSteps)[number];

/** Names of models, the first one first. */
const chain = z.array(z.string());

/** The [model_chains] table: which models a step asks, each when those before it have failed. */
export const modelChainsSettings = z.strictObject({
  default: chain.min(1).default([mainModel]),
  judge: chain.default([]),
  context: chain.default([]),
  rules: chain.default([]),
  scenario: chain.default([]),
  tools: chain.default([]),
  choose: chain.default([]),
  generate: chain.default([]),
  check: chain.default([]),
  critique: chain.default([]),
  extract: chain.default([]),
  summarise: chain.default([]),
} satisfies Record<ModelStep | "default", z.ZodType>);
export type ModelChainsSettings = z.output<typeof modelChainsSettings>;

/** The tables that `openModels` reads. */
export const modelTables = {
  model: modelSettings,
  models: modelsSettings,
  model_chains: modelChainsSettings,
};

export interface ModelTables {
  readonly model: ModelSettings;
  readonly models: ModelsSettings;
  readonly model_chains: ModelChainsSettings;
}
