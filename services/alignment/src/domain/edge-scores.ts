import { type MatchScore, noMatch } from "@soldier/retrieval/match-index";
import type { CompiledBundle, CompiledScenario, Edge } from "./compiled-bundle.ts";
import type { Context } from "./context.ts";
import type { TurnSettings } from "./turn-settings.ts";

/** How well a message fits the edges of scenarios; each scenario is scored when first asked about. */
export function edgeScores(
  bundle: CompiledBundle,
  text: string,
  { vector }: Pick<Context, "vector">,
): (edge: Edge) => MatchScore {
  const scores = new Map<Edge, MatchScore>();
  const scored = new Set<CompiledScenario>();
  return (edge) => {
    const known = scores.get(edge);
    if (known !== undefined) return known;
    const home = bundle.scenarios.find((scenario) => scenario.edges.includes(edge));
    if (!home || scored.has(home)) return noMatch;
    scored.add(home);
    const matches = home.edgeIndex.scores(text, vector, bundle.settings.matching);
    home.edges.forEach((each, i) => scores.set(each, matches[i] ?? noMatch));
    return scores.get(edge) ?? noMatch;
  };
}

/** Whether scores leave open what a message means for the scenario, so that a model's word helps. */
export function isAmbiguous(
  edges: readonly number[],
  entries: readonly number[],
  { navigation, matching }: Pick<TurnSettings, "navigation" | "matching">,
): boolean {
  const [best = 0, next = 0] = edges.toSorted((a, b) => b - a);
  if (edges.length > 0) {
    const clear = best >= navigation.transition_threshold && best - next >= navigation.margin;
    return best >= navigation.sanity_threshold && !clear;
  }
  const entry = Math.max(0, ...entries);
  return entry >= matching.match_threshold && entry < matching.certain_threshold;
}
