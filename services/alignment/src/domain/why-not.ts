import type { RuleCandidate, TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import { type Rule, Scope, ScopeSchema } from "@soldier/proto/config/v1/rule";
import { enumName } from "./enum-name.ts";
import { ruleRow } from "./rule-table.ts";

/** Rules that an explanation tells one by one; a turn with more of them keeps its table. */
export const rulesToldMax = 1_000;

/** The version that a turn ran on, as far as rules can be explained by it. */
export type Version = Pick<Bundle, "rules" | "scenarios">;

export interface WhyNotQuestion {
  readonly record: TurnRecord;
  /** Id or name. */
  readonly rule: string;
  /** Undefined: it is no longer kept, and only the record's own words can be told. */
  readonly version: Version | undefined;
  /** The number of the version that is live, when that has the rule. */
  readonly liveVersion: number | undefined;
}

export interface WhyNot {
  /** Undefined when it was no candidate. */
  readonly candidate?: RuleCandidate;
  /** One sentence for people. */
  readonly explanation: string;
}

/** What became of one rule in a turn: which stage took it out, and by how much. */
export function whyNot(question: WhyNotQuestion): WhyNot {
  const { record, rule: asked, version } = question;
  const rule = version?.rules.find(isCalled(asked));
  const candidate = candidateOf(record, asked, version);
  if (candidate) return { candidate, explanation: explained(candidate, rule, question) };
  return { explanation: absent(question, rule) };
}

/**
 * The record with every rule of its version told one by one, the best first, as far as `rulesMax`
 * goes; what does not fit stays in the table.
 */
export function inFull(
  record: TurnRecord,
  version: { readonly rules: readonly Rule[] },
  rulesMax: number,
): TurnRecord {
  const { ruleTable, rules } = record;
  if (!ruleTable) return record;
  const told = new Set(rules.map(({ ruleId }) => ruleId));
  const others = version.rules
    .flatMap((rule, i) => (told.has(rule.id) ? [] : (ruleRow(ruleTable, i, rule) ?? [])))
    .toSorted((a, b) => matchOf(b) - matchOf(a));
  const room = Math.max(0, rulesMax - rules.length);
  const { ruleTable: _table, ...rest } = record;
  return {
    ...(others.length > room ? record : rest),
    rules: [...rules, ...others.slice(0, room)],
  };
}

function candidateOf(
  record: TurnRecord,
  asked: string,
  version: Version | undefined,
): RuleCandidate | undefined {
  const told = record.rules.find(({ ruleId, name }) => ruleId === asked || name === asked);
  if (told || !record.ruleTable) return told;
  const row = version?.rules.findIndex(isCalled(asked)) ?? -1;
  const rule = version?.rules[row];
  return rule && ruleRow(record.ruleTable, row, rule);
}

function isCalled(asked: string) {
  return ({ id, name }: Pick<Rule, "id" | "name">) => id === asked || name === asked;
}

function absent({ record, rule, version, liveVersion }: WhyNotQuestion, found?: Rule): string {
  const { turnNumber, bundleVersion } = record;
  const ran = `version ${bundleVersion}, which turn ${turnNumber} ran on`;
  if (!version)
    return `${rule} is not among the rules on record for turn ${turnNumber}, and ${ran}, is no longer kept.`;
  if (!found) {
    const later =
      liveVersion === undefined ? "" : `; version ${liveVersion}, which is live, has it`;
    return `The rule ${rule} did not exist in ${ran}${later}.`;
  }
  const skipped = record.steps.find(({ name }) => name === "retrieve")?.skipped;
  if (skipped)
    return `${found.name} was not considered: no rule was in turn ${turnNumber}, ${skipped}.`;
  return `${found.name} was considered in turn ${turnNumber}, but scored below all that are on record.`;
}

function explained(
  candidate: RuleCandidate,
  rule: Rule | undefined,
  { record, version }: WhyNotQuestion,
): string {
  const { name, applied, eliminatedBy, reason, scores, distance } = candidate;
  const because = reason === "" ? "" : `: ${reason}`;
  if (applied) return `${name} applied in turn ${record.turnNumber}${because}.`;
  const likelihood = scores["rerank"] ?? matchOf(candidate);
  const not = `${name} was not a candidate`;
  switch (eliminatedBy) {
    case "":
      return `${name} passed every stage, but did not apply${because}.`;
    case "disabled":
      return `${not}: it is disabled in version ${record.bundleVersion}.`;
    case "scope":
      return `${not}: ${scopeOf(rule, version)}, ${whereabouts(record)}.`;
    case "fires":
      return `${not}: it had ${reason}.`;
    case "cooldown": {
      const again = record.turnNumber + Math.round(distance);
      return `${not}: it ${reason}, and may fire again in turn ${again}.`;
    }
    case "one_shot":
      return `${not}: it is one-shot, and ${reason}.`;
    case "guard":
      return `${not}: ${rule?.guard ? `${reason} (${rule.guard})` : reason}.`;
    case "retrieve":
      return `${name} was not considered: no rule was in turn ${record.turnNumber}.`;
    case "selection": {
      const kept = /^[\d.]+ is below (min_score [\d.]+)$/.exec(reason)?.[1];
      const mark = kept ?? `the last that was kept${because}`;
      return `${name} was eliminated by selection: its likelihood ${shown(matchOf(candidate))} was ${below(distance)} ${mark}.`;
    }
    case "lead":
      return `${name} was eliminated by lead: its score ${shown(scores["hybrid"] ?? 0)} was ${shown(distance)} too far behind the best explanation of the message${because}.`;
    case "threshold":
      return `${name} was eliminated by threshold: its likelihood ${shown(likelihood)} was ${below(distance)} the threshold ${shown(likelihood + distance)}.`;
    case "judge":
      return `${name} was eliminated by the judge, ${shown(scores["judge"] ?? 0)} likely to apply${because}.`;
    case "choice":
      return `${name} was eliminated by choice${because}.`;
    case "relation":
      return `${name} matched, but was ${reason || "dropped by a relation"}.`;
    default: {
      const short = distance > 0 ? `, short by ${shown(distance)}` : "";
      return `${name} was eliminated by ${eliminatedBy}${short}${because}.`;
    }
  }
}

function scopeOf(rule: Rule | undefined, version: Version | undefined): string {
  if (!rule) return "the session was not in its scope";
  const scenario = version?.scenarios.find(({ id }) => id === rule.scenarioId);
  const place = scenario?.name ?? rule.scenarioId;
  const scope = enumName(ScopeSchema, rule.scope);
  return `its scope is ${scope} ${rule.scope === Scope.STEP ? `${place}/${rule.stepId}` : place}`;
}

function whereabouts({ navigation }: TurnRecord): string {
  const at = (place: string) => (place === "" ? "in no scenario" : `at ${place}`);
  const { before = "", after = "" } = navigation ?? {};
  const came = before === after ? "" : ` and came to be ${at(after)}`;
  return `the session was ${at(before)}${came}`;
}

function matchOf({ scores }: RuleCandidate): number {
  return scores["match"] ?? 0;
}

function below(distance: number): string {
  return distance > 0 ? `${shown(distance)} below` : "no better than";
}

/** Two decimals, or more where two would hide a small difference. */
function shown(score: number): string {
  const small = score !== 0 && Math.abs(score) < 0.005;
  return small ? String(Number(score.toPrecision(1))) : score.toFixed(2);
}
