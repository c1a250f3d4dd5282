import { isIn, out, type RuleCandidate } from "../domain/candidates.ts";
import { pattern } from "../domain/patterns.ts";
import { compareRules } from "../domain/rule-order.ts";
import { scoreOf } from "../domain/rule-scores.ts";
import type { Turn } from "./turn.ts";

/** As many as one question can hold. */
const proactiveMax = 30;

/** What may call for an opening: there is no message to compare them with, so a model judges them. */
export function proactive(rules: readonly RuleCandidate[]): readonly RuleCandidate[] {
  const may = rules
    .filter(({ rule, eliminatedBy }) => eliminatedBy === "selection" && rule.condition !== "")
    .toSorted((a, b) => compareRules(a.rule, b.rule))
    .slice(0, proactiveMax);
  return rules.map((each) =>
    may.includes(each)
      ? { ...each, eliminatedBy: "", reason: "nothing was said yet", distance: 0 }
      : each,
  );
}

/** When the agent had asked which of several was meant: those candidates, if the message says. */
export function chosen({
  state,
  turnNumber,
  incoming,
  rules,
}: Pick<Turn, "state" | "turnNumber" | "incoming" | "rules">):
  | readonly RuleCandidate[]
  | undefined {
  const { awaited } = state;
  if (awaited?.for.case !== "choice" || awaited.askedTurn !== turnNumber - 1) return undefined;
  const { ruleIds } = awaited.for.value;
  const number = /^\s*(?:(?:number|option)\s*)?(\d{1,2})\b/i.exec(incoming.text)?.[1];
  const options = rules.filter(({ rule }) => ruleIds.includes(rule.id));
  const [best, next] = options.toSorted((a, b) => b.scores.match - a.scores.match);
  const leads = (best?.scores.hybrid ?? 0) - (next?.scores.hybrid ?? 0) >= choiceMargin;
  const id = number ? ruleIds[Number(number) - 1] : leads ? best?.rule.id : undefined;
  if (id === undefined) return undefined;
  return rules.map((candidate) =>
    candidate.rule.id === id
      ? { ...candidate, eliminatedBy: "", reason: "chosen by the customer", distance: 0, judge: 1 }
      : out(candidate, "choice", "the customer chose another"),
  );
}

const choiceMargin = 0.05;

/** Rules of the last turn whose tool waits for what this message gives: they go on applying. */
export function waiting({
  state,
  turnNumber,
  incoming,
  history,
  bundle,
  context,
  rules,
}: Pick<
  Turn,
  "state" | "turnNumber" | "incoming" | "history" | "bundle" | "context" | "rules"
>): readonly RuleCandidate[] {
  const { awaited } = state;
  if (awaited?.for.case !== "argument" || awaited.askedTurn !== turnNumber - 1) return rules;
  const { toolId, argument } = awaited.for.value;
  const expected = bundle.toolsById.get(toolId)?.arguments[argument]?.pattern;
  const { match_threshold } = bundle.settings.matching;
  const other = rules.some((each) => isIn(each) && scoreOf(each) >= match_threshold);
  const gives = expected
    ? pattern(expected)?.test(incoming.text) === true
    : !other && context.exitSignal === 0;
  if (!gives) return rules;
  const before = new Set(history.at(-1)?.rules);
  return rules.map((candidate) => {
    const { rule, eliminatedBy } = candidate;
    const waits = before.has(rule.name) && rule.toolIds.includes(toolId);
    // Scores and cooldowns are about new reasons; this is the old one.
    const may = ["", "selection", "cooldown", "one_shot", "fires"].includes(eliminatedBy);
    if (!waits || !may) return candidate;
    const reason = `the customer gives its ${argument}`;
    return { ...candidate, eliminatedBy: "", reason, distance: 0, judge: 1 };
  });
}
