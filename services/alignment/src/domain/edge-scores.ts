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

/** Whether there are ways to go, and scores speak for none of them: it may have been put in other words. */
export function isImplausible(
  edges: readonly number[],
  entries: readonly number[],
  { navigation, matching }: Pick<TurnSettings, "navigation" | "matching">,
): boolean {
  if (edges.length > 0) return Math.max(...edges) < navigation.sanity_threshold;
  return entries.length > 0 && Math.max(...entries) < matching.match_threshold;
}
