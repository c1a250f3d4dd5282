import { create } from "@bufbuild/protobuf";
import { RelationRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import type { Rule } from "@soldier/proto/config/v1/rule";
import { isIn, out, type RuleCandidate } from "../../domain/candidates.ts";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import { nameOfKind } from "../../domain/relation-index.ts";
import { type RelationAct, type RelationAnswer, resolveRelations } from "../../domain/relations.ts";
import { compareRules } from "../../domain/rule-order.ts";
import { placeOf } from "../../domain/turn-values.ts";
import type { Step } from "../step.ts";
import type { RecordPart } from "../turn-recorder.ts";
import type { RelationEffects, Turn } from "../turn.ts";

type Needs = "bundle" | "state" | "rules" | "matched";
type Adds = "applied" | "relations" | "rules";

/** Lets rules override, need, bring in and tell apart one another, to the end of it. */
export function resolveRelationsStep(): Step<Needs, Adds> {
  return {
    name: "resolve-relations",
    async run(turn) {
      return related(turn.matched, turn);
    },
    off: ({ matched, rules }) => ({
      applied: matched,
      rules,
      relations: { choice: undefined, scenariosAdded: [], scenariosDropped: [] },
    }),
  };
}

/** What applies of these rules at the session's place. */
export function related(
  matched: readonly Rule[],
  { bundle, state, rules }: Pick<Turn, "bundle" | "state" | "rules">,
): {
  applied: readonly Rule[];
  relations: RelationEffects;
  rules: readonly RuleCandidate[];
  record: RecordPart;
} {
  const { scenarioId } = placeOf(state);
  const { match_threshold } = bundle.settings.matching;
  const standing = new Map(rules.map((candidate) => [candidate.rule.id, candidate]));
  const answer = resolveRelations({
    index: bundle.relations,
    matched: matched.map(({ id }) => id),
    scenarios: new Set(scenarioId ? [scenarioId] : []),
    plausible: new Set(
      rules.filter((each) => couldBeMeant(each, match_threshold)).map(({ rule }) => rule.id),
    ),
    admits: (id) => {
      const candidate = standing.get(id);
      return candidate !== undefined && !excluding.has(candidate.eliminatedBy);
    },
    compare: (a, b) => {
      const [left, right] = [bundle.rulesById.get(a), bundle.rulesById.get(b)];
      return left && right ? compareRules(left, right) : a < b ? -1 : 1;
    },
  });
  const applied = answer.active.flatMap((id) => bundle.rulesById.get(id) ?? []);
  return {
    applied,
    relations: effectsOf(answer, bundle),
    rules: explained(rules, answer, bundle),
    record: {
      ...(answer.acts.length === 0 && { skipped: "no relation acted" }),
      facts: { relations: answer.acts.map(actRecord) },
    },
  };
}

/** What keeps a rule from being brought in, too. */
const excluding = new Set(["disabled", "scope", "fires", "cooldown", "guard"]);

function couldBeMeant(candidate: RuleCandidate, threshold: number): boolean {
  if (isIn(candidate)) return true;
  const late = candidate.eliminatedBy === "selection" || candidate.eliminatedBy === "lead";
  return late && candidate.scores.match >= threshold;
}

function effectsOf(
  { choice, scenariosAdded, scenariosDropped }: RelationAnswer,
  bundle: CompiledBundle,
): RelationEffects {
  const asks = choice && bundle.rulesById.get(choice.asks);
  const among = choice?.among.flatMap((id) => bundle.rulesById.get(id) ?? []) ?? [];
  return { choice: asks && { asks, among }, scenariosAdded, scenariosDropped };
}

function explained(
  rules: readonly RuleCandidate[],
  answer: RelationAnswer,
  bundle: CompiledBundle,
): readonly RuleCandidate[] {
  const acts = new Map(answer.acts.map((act) => [act.target, act]));
  const active = new Set(answer.active);
  return rules.map((candidate) => {
    const act = acts.get(candidate.rule.id);
    if (!act) return candidate;
    const reason = `${act.effect} by ${nameOfKind(act.relation.kind)}: ${told(act.source, bundle)}`;
    if (active.has(candidate.rule.id))
      return act.effect === "added"
        ? { ...candidate, eliminatedBy: "", reason, distance: 0 }
        : candidate;
    return out(candidate, "relation", reason);
  });
}

/** Names for people instead of ids. */
function told(source: string, bundle: CompiledBundle): string {
  return source
    .split(", ")
    .map((end) => {
      const [kind = "", id = ""] = end.split(":");
      const name =
        kind === "rule"
          ? bundle.rulesById.get(id)?.name
          : bundle.scenariosById.get(id)?.scenario.name;
      return `${kind} ${name ?? id}`;
    })
    .join(", ");
}

function actRecord({ relation, source, target, effect }: RelationAct) {
  return create(RelationRecordSchema, {
    relationId: relation.id,
    kind: nameOfKind(relation.kind),
    source,
    target,
    effect,
  });
}
