import { create } from "@bufbuild/protobuf";
import type { Fault } from "@soldier/kernel/fault";
import { noMatch } from "@soldier/retrieval/match-index";
import { select } from "@soldier/retrieval/selection";
import { type MemoryUse, MemoryUseSchema } from "@soldier/proto/audit/v1/turn_record";
import type { MemoryHit } from "@soldier/proto/memory/v1/memory_service";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { out, type RuleCandidate, type ScenarioCandidate } from "../../domain/candidates.ts";
import { bindingsOf } from "../../domain/expressions.ts";
import type { KnownValues } from "../../domain/known-values.ts";
import { exclusionOf, isSpent } from "../../domain/rule-filters.ts";
import { selectRules } from "../../domain/rule-selection.ts";
import { isAlwaysOn } from "../../domain/rule-filters.ts";
import { placeOf, turnValues } from "../../domain/turn-values.ts";
import { type Tried, tried } from "../degrade.ts";
import type { Means } from "../means.ts";
import { modelFor } from "../model-calls.ts";
import type { Step } from "../step.ts";
import type { Turn } from "../turn.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "session"
  | "state"
  | "turnNumber"
  | "customer"
  | "context"
  | "budget"
  | "rung";

type Adds = "profile" | "known" | "memories" | "rules" | "scenarios";

/**
 * What may matter for the message: rules and scenarios by their scores, memories and the customer's
 * profile by asking, all side by side; then whatever keeps a rule out, and how many may go on.
 */
export function retrieve(means: Means): Step<Needs, Adds> {
  return {
    name: "retrieve",
    async run(turn, signal) {
      const profiling = tried(() => profileOf(turn, means), signal);
      const recalling = tried(() => recalled(turn, means), signal);
      const scored = scores(turn);
      const [profiled, memory] = await Promise.all([profiling, recalling]);

      const profile = profiled.value;
      const { known } = turnValues({
        ...turn,
        profile,
        text: turn.incoming.text,
        now: means.clock.now(),
      });
      const rules = selectRules(
        filtered(scored.rules, turn, known, means),
        turn.bundle.settings.selection.rules,
      );
      const scenarios = selectedScenarios(scored.scenarios, turn);
      const hits = memory.value ?? [];
      const used = select(
        hits.map(({ score }) => score),
        turn.bundle.settings.selection.memory,
      );
      const memories = used.kept.flatMap((i) => hits[i] ?? []);
      const faults = [faultOf("profile", profiled), faultOf("memory", memory)].flatMap(
        (reason) => reason ?? [],
      );
      return {
        profile,
        known,
        memories,
        rules,
        scenarios,
        record: {
          ...(faults.length > 0 && { degraded: faults.join(", ") }),
          facts: {
            memories: hits.map((hit) => memoryUse(hit, memories.includes(hit))),
          },
        },
      };
    },
    off(turn) {
      const { profile } = turn.customer;
      const { known } = turnValues({
        ...turn,
        profile,
        text: turn.incoming.text,
        now: means.clock.now(),
      });
      // What is in force in every turn is not a matter of finding it.
      const rules = filtered(scores(turn).rules, turn, known, means).filter(
        ({ rule, eliminatedBy }) => eliminatedBy === "" && isAlwaysOn(rule),
      );
      return { profile, known, memories: [], rules, scenarios: [] };
    },
  };
}

async function profileOf(
  { customer }: Pick<Turn, "customer">,
  { profile }: Means,
): Promise<CustomerProfile | undefined> {
  if (customer.profile || customer.id === "") return customer.profile;
  return (await profile.recallProfile({ customerId: customer.id })).profile;
}

async function recalled(
  { incoming, bundle, session, customer, context }: Pick<Turn, Needs>,
  { memory, embedder }: Means,
): Promise<readonly MemoryHit[]> {
  if (customer.id === "") return [];
  const { max_k } = bundle.settings.selection.memory;
  const { hits } = await memory.recall({
    query: incoming.text,
    customerId: customer.id,
    ...(context.vector && {
      embedding: { model: embedder.model, values: Array.from(context.vector) },
    }),
    hitsMax: Math.min(max_k, recallMax),
    exceptSessionId: session.id,
  });
  return hits.toSorted((a, b) => b.score - a.score);
}

/** As many as the memory service gives at once. */
const recallMax = 100;

function scores({ bundle, incoming, context }: Pick<Turn, "bundle" | "incoming" | "context">) {
  const { matching } = bundle.settings;
  const ofRules = bundle.ruleIndex.scores(incoming.text, context.vector, matching);
  const ofEntries = bundle.entryIndex.scores(incoming.text, context.vector, matching);
  return {
    rules: bundle.rules.map((rule, i): RuleCandidate => ({
      rule,
      scores: ofRules[i] ?? noMatch,
      eliminatedBy: "",
      reason: "",
      distance: 0,
    })),
    scenarios: bundle.scenarios.map(({ scenario }, i): ScenarioCandidate => ({
      scenario,
      scores: ofEntries[i] ?? noMatch,
      selected: false,
      reason: "",
    })),
  };
}

/** Every rule, those with something against them marked so. */
function filtered(
  candidates: readonly RuleCandidate[],
  turn: Pick<Turn, "bundle" | "state" | "turnNumber" | "rung">,
  known: KnownValues,
  means: Means,
): readonly RuleCandidate[] {
  const { bundle, state, turnNumber } = turn;
  const bindings = bindingsOf(known);
  const { judgement } = bundle.settings;
  const question = {
    place: placeOf(state),
    turn: turnNumber,
    fires: state.ruleFires,
    appliedOnce: new Set(state.appliedRuleIds),
    judged:
      judgement !== "scores" &&
      modelFor(means, turn, judgement === "fused" ? "judge" : "rules") !== undefined,
    holds: (guard: string) => bundle.expressions.evaluate(guard, bindings),
  };
  return candidates.map((candidate) => {
    const exclusion = exclusionOf(candidate.rule, question);
    if (exclusion) return out(candidate, exclusion.by, exclusion.reason, exclusion.distance);
    return isSpent(candidate.rule, question) ? { ...candidate, spent: true } : candidate;
  });
}

function selectedScenarios(
  candidates: readonly ScenarioCandidate[],
  { bundle }: Pick<Turn, "bundle">,
): readonly ScenarioCandidate[] {
  const ranked = candidates.toSorted((a, b) => b.scores.match - a.scores.match);
  const { kept, reason } = select(
    ranked.map(({ scores: { match } }) => match),
    bundle.settings.selection.scenarios,
  );
  const chosen = new Set(kept);
  return ranked.map((candidate, i) => ({ ...candidate, selected: chosen.has(i), reason }));
}

function memoryUse(hit: MemoryHit, used: boolean): MemoryUse {
  const { case: kind = "", value } = hit.found;
  const id = value === undefined ? "" : "factId" in value ? value.factId : value.id;
  return create(MemoryUseSchema, { id, kind, score: hit.score, used });
}

function faultOf(part: string, { fault }: Tried<unknown>): string | undefined {
  return fault && `${part} ${reasonOf(fault)}`;
}

function reasonOf({ reason }: Fault): string {
  return reason;
}
