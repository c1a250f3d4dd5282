import { z } from "zod";
import { deterministicEmbedder } from "./deterministic.ts";
import type { Embedder } from "./embedder.ts";
import type { LanguageModel } from "./language-model.ts";
import { localEmbedder } from "./local.ts";
import { modelChainsSettings, type ModelSettings } from "./model-settings.ts";
import { openModels } from "./models.ts";
import { observedEmbedder } from "./observed-embedder.ts";

export { modelSettings } from "./model-settings.ts";

/** The [embedder] table. */
export const embedderSettings = z.strictObject({
  /** "local" is MiniLM in this process; "deterministic" knows letters only and is for tests. */
  provider: z.enum(["local", "deterministic"]).default("local"),
  /** Of the provider "deterministic"; "local" has 384. */
  dimensions: z.int().min(8).max(4096).default(384),
});
export type EmbedderSettings = z.output<typeof embedderSettings>;

/** The embedder that the settings name; closed with `opened`. */
export function openEmbedder(settings: EmbedderSettings, opened: AsyncDisposableStack): Embedder {
  switch (settings.provider) {
    case "local":
      return observedEmbedder(localEmbedder(opened));
    case "deterministic":
      return observedEmbedder(deterministicEmbedder(settings.dimensions));
  }
}

/** The one model of [model], without further ones and chains; undefined for keyless. */
export function openModel(model: ModelSettings): LanguageModel | undefined {
  const model_chains = modelChainsSettings.parse({});
  return openModels({ model, models: {}, model_chains }, new AsyncDisposableStack()).for(
    "generate",
  );
}
