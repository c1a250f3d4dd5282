import { type Clock, systemClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { LRUCache } from "lru-cache";
import { chainedModel, type Link } from "./chained.ts";
import { health } from "./health.ts";
import type { LanguageModel } from "./language-model.ts";
import {
  type FurtherModelSettings,
  mainModel,
  modelSteps,
  type ModelStep,
  type ModelTables,
} from "./model-settings.ts";
import { modelNameOf, needsKey, openOne, turnstileOf } from "./open-model.ts";
import { keyVariable } from "./provider-fault.ts";

/** The models of a deployment, as its settings chain them. */
export interface Models {
  /** The step's chain; undefined when it has no model: keyless. */
  for(step: ModelStep): LanguageModel | undefined;
  /**
   * What an agent asks for as "provider:model", followed by what [model_chains] has for "generate".
   * It may be any model of a provider that is set; undefined when there is no such provider.
   */
  named(id: string): LanguageModel | undefined;
}

/** Models that agents name and no setting does; each is a small object, the names are theirs. */
const namedMax = 100;

/** Opens what the settings name; makes no call. Throws MODEL_SETTINGS, with all that is wrong. */
export function openModels(tables: ModelTables, clock: Clock = systemClock): Models {
  const set = settingsByName(tables);
  const problems = [...set].flatMap(([name, settings]) => problemsOf(name, settings));
  const chains = new Map(modelSteps.map((step) => [step, namesFor(step, tables)]));
  for (const [step, names] of Object.entries(tables.model_chains))
    for (const name of names)
      if (name !== mainModel && !set.has(name))
        problems.push(
          `${step} in [model_chains] names "${name}", which is no model: ` +
            `there are ${[mainModel, ...Object.keys(tables.models)].join(", ")}; ` +
            `write "${mainModel}" for the model of [model], or add [models.${name}]`,
        );
  if (problems.length > 0)
    throw new Fault("precondition", problems.join("\n"), { reason: "MODEL_SETTINGS" });

  const doors = new Map([...set].map(([name, settings]) => [name, turnstileOf(settings)]));
  function open(name: string, settings: FurtherModelSettings, model: string): Link {
    const door = doors.get(name) ?? turnstileOf(settings);
    const opened = openOne(settings, { model, table: tableOf(name), turnstile: door });
    return { model: opened, health: health(clock) };
  }
  const links = new Map<string, Link>();
  for (const [name, settings] of set) {
    const model = modelNameOf(settings);
    if (model !== undefined) links.set(name, open(name, settings, model));
  }
  const linksFor = (step: ModelStep) => (chains.get(step) ?? []).flatMap((n) => links.get(n) ?? []);
  const opened = new Map(modelSteps.map((step) => [step, chainOf(linksFor(step))]));
  const named = new LRUCache<string, LanguageModel>({ max: namedMax });

  function find(id: string): Link | undefined {
    const exact = [...links.values()].find(({ model }) => model.id === id);
    if (exact) return exact;
    const [provider, ...rest] = id.split(":");
    const model = rest.join(":");
    const near = [...set].find(([, settings]) => settings.provider === provider);
    // The prices that are set are those of another model.
    return near && model !== "" ? open(near[0], { ...near[1], prices: {} }, model) : undefined;
  }

  return {
    for: (step) => opened.get(step),
    named(id) {
      const known = named.get(id);
      if (known) return known;
      const first = find(id);
      if (!first) return undefined;
      const rest = linksFor("generate").filter((other) => other.model.id !== first.model.id);
      const chain = chainedModel([first, ...rest]);
      named.set(id, chain);
      return chain;
    },
  };
}

function chainOf([first, ...rest]: readonly Link[]): LanguageModel | undefined {
  return first && chainedModel([first, ...rest]);
}

/** Every table that describes a model; [model] is left out when it is keyless. */
function settingsByName({ model, models }: ModelTables): Map<string, FurtherModelSettings> {
  const { provider, ...rest } = model;
  const named = new Map(Object.entries(models));
  if (provider === "none" || (provider === "auto" && model.api_key === "")) return named;
  const main = { ...rest, provider: provider === "auto" ? ("anthropic" as const) : provider };
  return new Map([[mainModel, main], ...named]);
}

function namesFor(step: ModelStep, { model_chains }: ModelTables): readonly string[] {
  const own = model_chains[step];
  return own.length > 0 ? own : model_chains.default;
}

function problemsOf(name: string, settings: FurtherModelSettings): string[] {
  const table = tableOf(name);
  const problems: string[] = [];
  if (needsKey(settings) && settings.api_key === "")
    problems.push(keyMissing(name, table, settings.provider));
  if (modelNameOf(settings) === undefined)
    problems.push(
      `[${table}] names no model of "${settings.provider}": set model to the provider's name for it`,
    );
  return problems;
}

function tableOf(name: string): string {
  return name === mainModel ? "model" : `models.${name}`;
}

function keyMissing(name: string, table: string, provider: string): string {
  const usual = name === mainModel && provider === "anthropic" ? " or ANTHROPIC_API_KEY" : "";
  const variables = keyVariable(table) + usual;
  const instead =
    name === mainModel
      ? 'set provider = "none" to run without a model'
      : "take the table out, and its name from [model_chains]";
  return (
    `the model provider "${provider}" needs a key and none is set: give it as api_key in the ` +
    `[${table}] settings, ${variables}, or ${instead}`
  );
}
