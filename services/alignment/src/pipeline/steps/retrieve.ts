import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Fault } from "@soldier/kernel/fault";
import { noMatch } from "@soldier/retrieval/match-index";
import { select } from "@soldier/retrieval/selection";
import type { MemoryHit } from "@soldier/proto/memory/v1/memory_service";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { out, type RuleCandidate, type ScenarioCandidate } from "../../domain/candidates.ts";
import { bindingsOf } from "../../domain/expressions.ts";
import type { KnownValues } from "../../domain/known-values.ts";
import { factsMax, type Remembered, remembered, usesOf } from "../../domain/remembered.ts";
import { exclusionOf, isSpent } from "../../domain/rule-filters.ts";
import { selectRules } from "../../domain/rule-selection.ts";
import { isAlwaysOn } from "../../domain/rule-filters.ts";
import { placeOf, turnValues } from "../../domain/turn-values.ts";
import { type Tried, tried } from "../degrade.ts";
import type { Means } from "../means.ts";
import { modelFor } from "../model-calls.ts";
import type { Step } from "../step.ts";
import type { RecordFacts } from "../turn-recorder.ts";
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

type Adds = "profile" | "known" | "remembered" | "rules" | "scenarios";

/**
 * What may matter for the message: rules and scenarios by their scores, memories and the customer's
 * profile by asking, all side by side; then whatever keeps a rule out, and how many may go on.
 */
export function retrieve(means: Means): Step<Needs, Adds> {
  return {
    name: "retrieve",
    async run(turn, signal) {
      const profiling = tried(() => profileOf(turn, means), signal);
      const recalling = tried(() => recalled(turn, [], means), signal);
      const scored = scores(turn);
      const [profiled, ownMemory] = await Promise.all([profiling, recalling]);

      const profile = profiled.value;
      const aliasIds = aliasesOf(turn.customer, profile);
      // Only now is it known that the customer has had other ids: few ever have.
      const memory =
        aliasIds.length === 0
          ? ownMemory
          : await tried(() => recalled(turn, aliasIds, means), signal);
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
      const told = tellable({ ...turn, profile, known }, hits, profiled.fault !== undefined, means);
      const faults = [faultOf("profile", profiled), faultOf("memory", memory)].flatMap(
        (reason) => reason ?? [],
      );
      return {
        profile,
        known,
        remembered: told,
        rules,
        scenarios,
        record: {
          ...(faults.length > 0 && { degraded: faults.join(", ") }),
          facts: {
            ...usesOf(told, { shown: [], fields: [], unused: "no reply was made of it" }),
            ...believedWhen(profile, hits, means.clock.now()),
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
      const told = tellable({ ...turn, profile, known }, [], false, means);
      return { profile, known, remembered: told, rules, scenarios: [] };
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

/** The customer's other ids, by merges. */
function aliasesOf(
  { id }: Turn["customer"],
  profile: CustomerProfile | undefined,
): readonly string[] {
  const all = profile ? [profile.id, ...profile.aliasIds] : [];
  return all.filter((each) => each !== id).slice(0, aliasesMax);
}

/** As many as the memory service takes at once. */
const aliasesMax = 99;

async function recalled(
  turn: Pick<Turn, Needs>,
  aliasIds: readonly string[],
  means: Means,
): Promise<readonly MemoryHit[]> {
  const { incoming, bundle, session, customer, context } = turn;
  const { memory, embedder } = means;
  if (customer.id === "" || (customer.isNew && aliasIds.length === 0)) return [];
  const { max_k } = bundle.settings.selection.memory;
  const { hits } = await memory.recall({
    query: incoming.text,
    customerId: customer.id,
    aliasIds: [...aliasIds],
    ...(context.vector && {
      embedding: { model: embedder.model, values: Array.from(context.vector) },
    }),
    hitsMax: Math.min(max_k, recallMax),
    // Only a model can make words of them, and they cost memory a few statements.
    ...(modelFor(means, turn, "generate") && {
      factsMax,
      summariesMax: Math.min(max_k, summariesMax),
    }),
    exceptSessionId: session.id,
  });
  return hits.toSorted((a, b) => b.score - a.score);
}

/** As many as the memory service gives at once. */
const recallMax = 100;
/** Each stands for many turns. */
const summariesMax = 3;

function tellable(
  turn: Pick<Turn, "bundle" | "profile" | "known">,
  hits: readonly MemoryHit[],
  profileFailed: boolean,
  { clock }: Means,
): readonly Remembered[] {
  const { selection, generation } = turn.bundle.settings;
  return remembered({
    profile: turn.profile,
    profileFailed,
    known: turn.known,
    hits,
    selection: selection.memory,
    tokensMax: generation.remembered_tokens_max,
    now: clock.now(),
  });
}

/** Clocks of services differ: what was read counts as recorded before it was read. */
function believedWhen(
  profile: CustomerProfile | undefined,
  hits: readonly MemoryHit[],
  now: Date,
): RecordFacts {
  const changedAt = profile?.meta?.updatedAt;
  const recorded = hits.map(({ found }) => found.value?.recordedAt);
  const times = recorded.map((time) => (time ? timestampDate(time).getTime() : 0));
  return {
    believedAt: timestampFromDate(new Date(Math.max(now.getTime(), ...times))),
    ...(changedAt && { profileChangedAt: changedAt }),
  };
}

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

function faultOf(part: string, { fault }: Tried<unknown>): string | undefined {
  return fault && `${part} ${reasonOf(fault)}`;
}

function reasonOf({ reason }: Fault): string {
  return reason;
}
