import { create } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { RuleSchema } from "@soldier/proto/config/v1/rule";
import { z } from "zod";
import { type CheckResult, checked, type Constraint } from "../domain/checks.ts";
import type { Bindings } from "../domain/expressions.ts";
import { facts } from "../domain/prompt.ts";
import { memoryLines } from "../domain/remembered.ts";
import { block, blocks, dataBlock } from "../domain/prompt-data.ts";
import type { ModelCalls } from "./model-calls.ts";
import { instructions } from "./prompts.ts";
import { stepOf } from "./reply-plan.ts";
import type { Turn } from "./turn.ts";

const prompts = {
  check: instructions(import.meta.url, "./steps/enforce.md"),
  critique: instructions(import.meta.url, "./steps/critique.md"),
};

const verdictShape = z.object({
  demands: z.array(z.object({ id: z.string(), kept: z.boolean(), reason: z.string() })),
});

const critiqueShape = z.object({ fit: z.boolean(), problem: z.string() });

type CheckNeeds =
  | "incoming"
  | "bundle"
  | "state"
  | "known"
  | "applied"
  | "relations"
  | "draft"
  | "remembered"
  | "budget";

/** Who can be asked; undefined where there is no model for it. */
export interface Judges {
  readonly check: ModelCalls | undefined;
  readonly critique: ModelCalls | undefined;
}

/**
 * All checks of a whole text, cheapest first: those that need no model, then all that only a model can
 * tell in one call, then a last look where the agent wants one. What breaks an earlier one is written
 * again in any case: the later ones are not asked.
 */
export async function checkedReply(
  text: string,
  constraints: readonly Constraint[],
  turn: Pick<Turn, CheckNeeds>,
  bindings: Bindings,
  judges: Judges,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const { expressions } = turn.bundle;
  const plain = constraints
    .filter(({ kind }) => kind !== "judge")
    .map((constraint) => checked(constraint, text, expressions, bindings));
  if (isBroken(plain)) return plain;
  const judged = await demandsJudged(
    text,
    constraints.filter(({ kind }) => kind === "judge"),
    turn,
    judges.check,
    signal,
  );
  if (isBroken(judged)) return [...plain, ...judged];
  return [...plain, ...judged, ...(await critiqued(text, turn, judges.critique, signal))];
}

function isBroken(results: readonly CheckResult[]): boolean {
  return results.some(({ passed }) => !passed);
}

async function demandsJudged(
  text: string,
  demands: readonly Constraint[],
  turn: Pick<Turn, CheckNeeds>,
  calls: ModelCalls | undefined,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  if (demands.length === 0) return [];
  const all = (passed: boolean, reason: string) =>
    demands.map((constraint) => ({ constraint, passed, reason }));
  if (!turn.draft.isGenerated) return all(true, "prewritten words: not judged");
  // What can't be judged is not sent.
  if (!calls) return all(false, "could not be judged: no model");
  try {
    return await verdicts(text, demands, turn, calls);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Fault) return all(false, `could not be judged: ${error.reason}`);
    throw error;
  }
}

async function verdicts(
  text: string,
  demands: readonly Constraint[],
  { incoming, budget }: Pick<Turn, "incoming" | "budget">,
  calls: ModelCalls,
): Promise<readonly CheckResult[]> {
  const asked = blocks(
    dataBlock(
      "demands",
      demands.map(({ demand }, i) => `d${i + 1}: ${demand}`),
    ),
    dataBlock("message", [incoming.text]),
    dataBlock("reply", [text]),
  );
  const { value } = await calls.structured(
    "check",
    {
      system: [{ text: prompts.check, cacheable: true }],
      messages: [{ role: "user", text: asked }],
      maxTokens: 800,
      schema: verdictShape,
      schemaName: "verdict",
    },
    budget,
  );
  return demands.map((constraint, i) => {
    const given = value.demands.filter(({ id }) => id === `d${i + 1}`);
    const against = given.find(({ kept }) => !kept);
    const reason = given.length === 0 ? "the judge left it out" : (against?.reason ?? "");
    return { constraint, passed: given.length > 0 && !against, reason };
  });
}

/** Nothing demands this look: a model that can't give it is done without. */
async function critiqued(
  text: string,
  turn: Pick<Turn, CheckNeeds>,
  calls: ModelCalls | undefined,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const { bundle, known, applied, incoming, budget } = turn;
  if (!calls || !bundle.settings.generation.self_critique || !turn.draft.isGenerated) return [];
  const constraint: Constraint = { rule: selfCritique, kind: "critique", demand: "" };
  const step = stepOf(turn);
  const { withheld } = known;
  const asked = blocks(
    dataBlock(
      "rules",
      applied.flatMap(({ action }) => (action === "" ? [] : [`- ${action}`])),
    ),
    dataBlock("step", step ? [step.instructions] : []),
    dataBlock("known", [
      ...facts({ ...known.profile, ...known.fields }, withheld),
      ...facts(known.variables),
      ...facts(known.results),
    ]),
    dataBlock("remembered", memoryLines(turn.remembered)),
    dataBlock("message", [incoming.text]),
    dataBlock("reply", [text]),
  );
  const agent = block("agent", [bundle.agent.instructions].filter(Boolean));
  try {
    const { value } = await calls.structured(
      "critique",
      {
        system: [prompts.critique, agent]
          .filter(Boolean)
          .map((part) => ({ text: part, cacheable: true })),
        messages: [{ role: "user", text: asked }],
        maxTokens: 300,
        schema: critiqueShape,
        schemaName: "critique",
      },
      budget,
    );
    return [{ constraint, passed: value.fit, reason: value.fit ? "" : value.problem }];
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Fault)
      return [{ constraint, passed: true, reason: `not looked at: ${error.reason}` }];
    throw error;
  }
}

/** Stands for the rule that a last look has none of. */
const selfCritique = create(RuleSchema, { name: "self-critique" });
