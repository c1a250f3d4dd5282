import type { z } from "zod";
import type { CompiledBundle, Edge } from "../domain/compiled-bundle.ts";
import { fieldValue, type FoundField } from "../domain/fields.ts";
import type { JudgedMove } from "../domain/navigation-question.ts";
import { block, blocks } from "../domain/prompt-data.ts";
import { describedCase, entryAlias, ruleAlias } from "./described-case.ts";
import {
  contextShape,
  judgementShape,
  type RulesAnswer,
  rulesShape,
  type ScenarioAnswer,
  scenarioShape,
} from "./judgement-shapes.ts";
import type { Case } from "./judging-case.ts";
import type { ModelCalls } from "./model-calls.ts";
import { conversation, instructions } from "./prompts.ts";
import { callInstructions } from "./tool-proposals.ts";
import type { Turn } from "./turn.ts";

const parts = {
  frame: instructions(import.meta.url, "./steps/judgement.md"),
  context: instructions(import.meta.url, "./steps/extract-context.md"),
  rules: instructions(import.meta.url, "./steps/filter-rules.md"),
  scenario: instructions(import.meta.url, "./steps/adjudicate-scenario.md"),
  calls: callInstructions,
};

/** Each question: what is asked, in which shape it is answered, and in how many tokens. */
const questions = {
  judgement: {
    purpose: "judge",
    asks: [parts.context, parts.rules, parts.scenario, parts.calls],
    shape: judgementShape,
    maxTokens: 2_000,
  },
  context: { purpose: "context", asks: [parts.context], shape: contextShape, maxTokens: 500 },
  rules: { purpose: "rules", asks: [parts.rules], shape: rulesShape, maxTokens: 1_500 },
  scenario: { purpose: "scenario", asks: [parts.scenario], shape: scenarioShape, maxTokens: 600 },
} as const;

type Question = keyof typeof questions;
type AnswerTo<Q extends Question> = z.output<(typeof questions)[Q]["shape"]>;

type Spoken = Pick<Turn, "incoming" | "history" | "bundle" | "budget">;
export type JudgeNeeds = Spoken & Pick<Turn, "state" | "profile" | "known">;

/** Asks what a message means, and nothing else: the case is not known yet. */
export async function contextJudged(turn: Spoken, calls: ModelCalls): Promise<AnswerTo<"context">> {
  const { value } = await calls.structured(
    questions.context.purpose,
    {
      ...promptOf("context", conversation(turn.history, turn.incoming.text), turn.bundle),
      schema: contextShape,
      schemaName: "context",
    },
    turn.budget,
  );
  return value;
}

/**
 * One call for a part of the case, or for all of it. An answer about anything that was not asked is no
 * answer: the model may correct it once, then the call fails with MODEL_BAD_OUTPUT.
 */
export async function judged<Q extends Exclude<Question, "context">>(
  question: Q,
  given: Case,
  turn: JudgeNeeds,
  calls: ModelCalls,
): Promise<AnswerTo<Q>> {
  const asked = {
    judgement: given,
    rules: { ...nothing, rules: given.rules },
    scenario: { ...given, rules: [], tools: [] },
  }[question];
  // A record of shapes by name: each belongs to its name.
  const shape = questions[question].shape as unknown as z.ZodType<AnswerTo<Q>>;
  const { value } = await calls.structured(
    questions[question].purpose,
    {
      ...promptOf(question, describedCase(asked, turn), turn.bundle),
      schema: shape.superRefine((answer, ctx) => {
        for (const problem of strayed(answer, given, turn.bundle))
          ctx.addIssue({ code: "custom", message: problem });
      }),
      schemaName: question,
    },
    turn.budget,
  );
  return value;
}

const nothing = { rules: [], edges: [], scenarios: [], fields: [], tools: [], guidance: [] };

/** What is the same in every turn comes first, so that providers that cache prompts can keep it. */
function promptOf(question: Question, text: string, { agent }: CompiledBundle) {
  const { asks, maxTokens } = questions[question];
  return {
    system: [
      { text: blocks(parts.frame, ...asks), cacheable: true },
      { text: block("agent", [agent.name, agent.instructions].filter(Boolean)), cacheable: true },
    ].filter((part) => part.text !== ""),
    messages: [{ role: "user" as const, text }],
    maxTokens,
  };
}

/** What an answer says of things that it was not asked about. */
function* strayed(
  answer: Partial<RulesAnswer & ScenarioAnswer>,
  given: Case,
  bundle: CompiledBundle,
): Generator<string> {
  const asked = new Set(given.rules.map(({ rule }) => ruleAlias(rule, bundle)));
  const answered = new Set<string>();
  for (const { id } of answer.rules ?? []) {
    if (!asked.has(id)) yield `There is no rule "${id}" under <rules>.`;
    if (answered.has(id)) yield `There are two answers for the rule "${id}".`;
    answered.add(id);
  }
  if (answer.move && isMove(answer.move) && !moveOf(given, answer.move, bundle))
    yield `There is no ${answer.move.kind} "${answer.move.id}" to choose.`;
}

function isMove({ kind }: ScenarioAnswer["move"]): boolean {
  return kind === "edge" || kind === "entry";
}

/** A model's verdict on each rule that it was asked about; one that it left out does not apply. */
export function verdicts(
  { rules }: Pick<Case, "rules">,
  answer: RulesAnswer,
  bundle: CompiledBundle,
) {
  const byAlias = new Map(answer.rules.map((each) => [each.id, each]));
  return new Map(rules.map(({ rule }) => [rule.id, byAlias.get(ruleAlias(rule, bundle))]));
}

/** The move that a model chose; undefined when it chose none, or one that it was not offered. */
export function moveOf(
  { edges, scenarios }: { readonly edges: readonly Edge[] } & Pick<Case, "scenarios">,
  { kind, id, confidence }: ScenarioAnswer["move"],
  bundle: CompiledBundle,
): JudgedMove | undefined {
  switch (kind) {
    case "edge": {
      const edge = edges.find((_, i) => id === `e${i + 1}`);
      return edge && { kind, id: edge.id, confidence };
    }
    case "entry": {
      const found = scenarios.find(({ scenario }) => id === entryAlias(scenario.id, bundle));
      return found && { kind, id: found.scenario.id, confidence };
    }
    case "stay":
    case "exit":
      return { kind, confidence };
    case "none":
      return undefined;
  }
}

/** The values that a model read, as the fields' own types have them; what does not fit is left out. */
export function extractedOf(
  { fields }: Pick<Case, "fields">,
  answer: ScenarioAnswer,
  bundle: CompiledBundle,
  extractor: string,
): readonly FoundField[] {
  const asked = new Set(fields.map(({ name }) => name));
  const seen = new Set<string>();
  return answer.fields.flatMap(({ name, value: text, confidence }) => {
    if (!asked.has(name) || seen.has(name) || text.trim() === "") return [];
    seen.add(name);
    const definition = bundle.fields.get(name);
    const value = definition ? fieldValue(text.trim(), definition) : text.trim();
    return value === undefined ? [] : [{ name, text, value, confidence, extractor }];
  });
}
