import { type Rule, RuleApplication } from "@soldier/proto/config/v1/rule";
import type { RuleCandidate } from "../domain/candidates.ts";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import type { Json } from "../domain/json.ts";
import { blocks, dataBlock } from "../domain/prompt-data.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { Case } from "./judging-case.ts";
import { conversation } from "./prompts.ts";
import { describedTools } from "./tool-proposals.ts";
import type { Turn } from "./turn.ts";

type DescribeNeeds = "incoming" | "history" | "bundle" | "state" | "known";

type Asked = Pick<Case, "rules" | "edges" | "scenarios" | "fields" | "tools" | "guidance">;

/** The case in words, what changes most last. */
export function describedCase(asked: Asked, turn: Pick<Turn, DescribeNeeds>): string {
  const { incoming, history, bundle, state } = turn;
  const { scenarioId, stepId } = placeOf(state);
  const home = bundle.scenariosById.get(scenarioId);
  const step = home?.steps.get(stepId);
  return blocks(
    dataBlock(
      "rules",
      asked.rules.map((each) => `${ruleAlias(each.rule, bundle)}: ${told(each, turn)}`),
    ),
    dataBlock(
      "current_step",
      step && asked.edges.length + asked.fields.length > 0
        ? [`${step.name || step.id}: ${step.instructions}`]
        : [],
    ),
    dataBlock(
      "edges",
      asked.edges.map((edge, i) => `e${i + 1}: ${edge.transition.condition}`),
    ),
    dataBlock(
      "scenarios",
      asked.scenarios.map(
        ({ scenario }) => `${entryAlias(scenario.id, bundle)}: ${scenario.entryCondition}`,
      ),
    ),
    dataBlock(
      "fields",
      asked.fields.map(({ name, label, extractionHint }) =>
        [name, [label, extractionHint].filter(Boolean).join("; ")].filter(Boolean).join(": "),
      ),
    ),
    // What it tells of tools includes what is known.
    asked.tools.length > 0
      ? describedTools(asked.tools, guidanceOf(asked.guidance), turn)
      : valuesKnown(turn),
    conversation(history, incoming.text),
  );
}

/** The same in every turn on the same version, so that what a model says can be followed up. */
export function ruleAlias({ id }: Pick<Rule, "id">, bundle: CompiledBundle): string {
  return `r${bundle.rules.findIndex((rule) => rule.id === id) + 1}`;
}

export function entryAlias(id: string, bundle: CompiledBundle): string {
  return `s${bundle.scenarios.findIndex(({ scenario }) => scenario.id === id) + 1}`;
}

/** A rule's condition, with what of its past matters for whether it applies now. */
function told({ rule }: RuleCandidate, { state }: Pick<Turn, "state">): string {
  const condition = rule.condition || rule.examples.join(" / ");
  const notes: string[] = [];
  if (rule.application === RuleApplication.ONE_SHOT && state.appliedRuleIds.includes(rule.id))
    notes.push("applied before, only for a new reason");
  if (rule.application === RuleApplication.CUSTOMER_DEPENDENT && state.ruleFires[rule.id])
    notes.push(`waits for the customer, who was to: ${rule.action}`);
  if (isObservation(rule)) notes.push("observation");
  return notes.length === 0 ? condition : `${condition} (${notes.join("; ")})`;
}

/** Says only how things are; relations and templates act on it. */
function isObservation({ action, toolIds, templateIds, checks }: Rule): boolean {
  return action === "" && toolIds.length + templateIds.length + checks.length === 0;
}

function guidanceOf(rules: readonly Rule[]): readonly string[] {
  return rules
    .filter(({ action }) => action !== "")
    .map(({ condition, action }) => (condition === "" ? action : `when ${condition}: ${action}`));
}

const valueLengthMax = 500;

/** What conditions may speak of, but for what the customer does not let a model see. */
function valuesKnown({ known }: Pick<Turn, "known">) {
  const { withheld } = known;
  const values = { ...known.variables, ...known.profile, ...known.fields };
  return dataBlock(
    "values",
    Object.entries(values)
      .filter(([name]) => !withheld.has(name))
      .map(([name, value]) => `${name}: ${shown(value)}`),
  );
}

function shown(value: Json): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > valueLengthMax ? `${text.slice(0, valueLengthMax)}…` : text;
}
