import { z } from "zod";
import { RuleApplication } from "@soldier/proto/config/v1/rule";
import type { RuleCandidate, ScenarioCandidate } from "../domain/candidates.ts";
import type { CompiledBundle, Edge } from "../domain/compiled-bundle.ts";
import type { JudgedMove } from "../domain/navigation-question.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { ModelCalls } from "./model-calls.ts";
import { conversation, instructions } from "./prompts.ts";
import { contextShape } from "./steps/extract-context.ts";
import type { Turn } from "./turn.ts";

/** What a model is asked about a message, and what it may answer with. */
export interface Case {
  readonly rules: readonly RuleCandidate[];
  readonly edges: readonly Edge[];
  readonly scenarios: readonly ScenarioCandidate[];
}

export type Judgement = z.output<typeof judgementShape>;

const judgementShape = z.object({
  ...contextShape.shape,
  rules: z.array(
    z.object({
      id: z.string(),
      applies: z.boolean(),
      confidence: z.number().min(0).max(1),
      reason: z.string(),
    }),
  ),
  move: z.object({
    kind: z.enum(["edge", "stay", "exit", "entry", "none"]),
    id: z.string(),
    confidence: z.number().min(0).max(1),
  }),
});

const prompt = instructions(import.meta.url, "./steps/filter-rules.md");

/** One call for context, rules and scenario: whichever the case leaves empty is not asked about. */
export async function judged(
  given: Case,
  turn: Pick<Turn, "incoming" | "history" | "bundle" | "state" | "budget">,
  calls: ModelCalls,
): Promise<Judgement> {
  const { value } = await calls.structured(
    "judge",
    {
      system: [{ text: prompt, cacheable: true }],
      messages: [{ role: "user", text: question(given, turn) }],
      maxTokens: 1_500,
      schema: judgementShape,
      schemaName: "judgement",
    },
    turn.budget,
  );
  return value;
}

function question(
  { rules, edges, scenarios }: Case,
  { incoming, history, bundle, state }: Pick<Turn, "incoming" | "history" | "bundle" | "state">,
): string {
  const applied = new Set(state.appliedRuleIds);
  const ruleLines = rules.map(({ rule }, i) => {
    const once = rule.application === RuleApplication.ONE_SHOT && applied.has(rule.id);
    const note = once ? " (applied before: only if there is a new reason)" : "";
    return `r${i + 1}: ${rule.condition || rule.examples.join(" / ")}${note}`;
  });
  const edgeLines = edges.map(({ transition }, i) => `e${i + 1}: ${transition.condition}`);
  const entryLines = scenarios.map(({ scenario }, i) => `s${i + 1}: ${scenario.entryCondition}`);
  return [
    conversation(history, incoming.text),
    block("rules", ruleLines),
    block("current_step", here(bundle, state)),
    block("edges", edgeLines),
    block("scenarios", entryLines),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function here(bundle: CompiledBundle, state: Turn["state"]): readonly string[] {
  const { scenarioId, stepId } = placeOf(state);
  const step = bundle.scenariosById.get(scenarioId)?.steps.get(stepId);
  return step ? [`${step.name || step.id}: ${step.instructions}`] : [];
}

function block(name: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `<${name}>\n${lines.join("\n")}\n</${name}>`;
}

/** A model's verdict on each rule that it was asked about; one that it left out does not apply. */
export function verdicts({ rules }: Case, { rules: answers }: Judgement) {
  const byAlias = new Map(answers.map((answer) => [answer.id, answer]));
  return new Map(rules.map(({ rule }, i) => [rule.id, byAlias.get(`r${i + 1}`)]));
}

/** The move that a model chose; undefined when it chose none, or one that it was not offered. */
export function moveOf(
  { edges, scenarios }: Case,
  { move }: Pick<Judgement, "move">,
): JudgedMove | undefined {
  const { kind, id, confidence } = move;
  switch (kind) {
    case "edge": {
      const edge = edges.find((_, i) => id === `e${i + 1}`);
      return edge && { kind, id: edge.id, confidence };
    }
    case "entry": {
      const found = scenarios.find((_, i) => id === `s${i + 1}`);
      return found && { kind, id: found.scenario.id, confidence };
    }
    case "stay":
    case "exit":
      return { kind, confidence };
    case "none":
      return undefined;
  }
}
