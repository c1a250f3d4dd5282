import type { Rule } from "@soldier/proto/config/v1/rule";
import { out, type RuleCandidate } from "../domain/candidates.ts";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import { bindingsOf } from "../domain/expressions.ts";
import type { KnownValues } from "../domain/known-values.ts";
import { appliesUnasked } from "../domain/rule-filters.ts";

export interface Reevaluation {
  readonly rules: readonly RuleCandidate[];
  readonly matched: readonly Rule[];
}

/**
 * Judges rules again that asked for it after these tools have answered: their guards now see the
 * results. Undefined when nothing changed.
 */
export function reevaluated(
  { rules, matched }: Reevaluation,
  ran: ReadonlySet<string>,
  bundle: CompiledBundle,
  known: KnownValues,
): Reevaluation | undefined {
  const bindings = bindingsOf(known);
  const { match_threshold } = bundle.settings.matching;
  const holds = ({ guard }: Rule) => bundle.expressions.evaluate(guard, bindings).holds;
  const concerned = rules.filter(({ rule }) =>
    rule.reevaluateAfterToolIds.some((toolId) => ran.has(toolId)),
  );
  const is = new Set(matched.map(({ id }) => id));
  const gone = concerned.filter(({ rule }) => is.has(rule.id) && !holds(rule));
  const come = concerned.filter(
    ({ rule, eliminatedBy, scores }) =>
      eliminatedBy === "guard" &&
      holds(rule) &&
      (appliesUnasked(rule) || scores.match >= match_threshold),
  );
  if (gone.length === 0 && come.length === 0) return undefined;
  return {
    rules: rules.map((each) => {
      if (gone.includes(each))
        return out(
          { ...each, eliminatedBy: "" },
          "guard",
          "its guard is false after a tool's result",
        );
      if (!come.includes(each)) return each;
      return {
        ...each,
        eliminatedBy: "",
        reason: "its guard is true after a tool's result",
        distance: 0,
      };
    }),
    matched: [
      ...matched.filter(({ id }) => !gone.some(({ rule }) => rule.id === id)),
      ...come.map(({ rule }) => rule),
    ],
  };
}
