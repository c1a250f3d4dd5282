import { modelChainsSettings, modelSettings, modelsSettings } from "@soldier/ai/model-settings";
import { openModels } from "@soldier/ai/models";
import type { LanguageModel } from "@soldier/ai/language-model";
import { configuredModels, type ModelTables, startEngine } from "./engine.ts";
import { modelJudge } from "./judge.ts";
import { startOracle } from "./oracle.ts";
import { openDatabase } from "./place.ts";
import type { Stage } from "./run-file.ts";
import { toolServer } from "./tool-server.ts";

export interface StageOptions {
  /** Of a PostgreSQL; an embedded one is started when not given. */
  readonly databaseUrl?: string | undefined;
  /** The machine's own model plays no part, even with a key. */
  readonly standIn?: boolean;
}

/** Everything that cases run on, closed with `opened`. */
export async function openStage(
  options: StageOptions,
  opened: AsyncDisposableStack,
): Promise<Stage> {
  const databaseUrl = await openDatabase(options.databaseUrl, opened);
  const tools = opened.use(await toolServer());
  const own = options.standIn ? undefined : configuredModels();
  const model = own && modelOf(own);
  const oracle = model ? undefined : opened.use(await startOracle());
  const standIn = {
    provider: "anthropic",
    api_key: "a stand-in takes any",
    model: "stand-in",
    base_url: oracle?.url ?? "",
  };
  const common = { databaseUrl, toolHost: tools.host };
  // One after the other: both bring the same tables up to date.
  const keyless = opened.use(
    await startEngine({ ...common, models: { model: { provider: "none" } } }),
  );
  const thinking = opened.use(
    await startEngine({ ...common, models: (model && own) ?? { model: standIn } }),
  );
  return {
    keyless: { engine: keyless, tools, oracle: undefined },
    withModel: { engine: thinking, tools, oracle },
    judge: model && modelJudge(model),
  };
}

/** The model that writes, by these settings; undefined when there is none. */
function modelOf(tables: ModelTables): LanguageModel | undefined {
  const read = {
    model: modelSettings.parse(tables.model),
    models: modelsSettings.parse(tables.models ?? {}),
    model_chains: modelChainsSettings.parse(tables.model_chains ?? {}),
  };
  return openModels(read).for("generate");
}
