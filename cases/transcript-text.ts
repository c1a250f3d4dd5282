import {
  type RuleCandidate,
  type ToolCallRecord,
  ToolCallOutcomeSchema,
  type TurnRecord,
} from "@soldier/proto/audit/v1/turn_record";
import type { Bundle } from "@soldier/proto/config/v1/bundle";

/** One turn as people read it: what was said, and why. */
export function turnText(
  { userText, replyText, ...record }: TurnRecord,
  note: string,
  bundle: Bundle,
): string {
  const lines = [
    ...(replyText === "" ? [] : rulesText(record.rules)),
    ...scenarioText(record.navigation),
    ...record.toolCalls.map(toolText),
    replyFrom(record, bundle),
    costOf(record),
  ];
  return [
    `## ${record.turnNumber}. ${userText}`,
    ...(note === "" ? [] : [`_${note}_`]),
    replyText === "" ? "_(silence)_" : quoted(replyText),
    lines.map((line) => `- ${line}`).join("\n"),
  ].join("\n\n");
}

function quoted(text: string): string {
  return text
    .split("\n")
    .map((line) => `> ${line}`)
    .join("\n");
}

function rulesText(rules: readonly RuleCandidate[]): readonly string[] {
  const applied = rules.filter((rule) => rule.applied);
  const [next] = rules
    .filter((rule) => !rule.applied && rule.eliminatedBy !== "scope")
    .toSorted((a, b) => scoreOf(b) - scoreOf(a));
  const said = applied.map((rule) => `\`${rule.name}\` (${because(rule)})`);
  const runnerUp = next && scoreOf(next) >= runnerUpMin;
  return [
    said.length > 0 ? `applied: ${said.join(", ")}` : "applied: no rule",
    ...(runnerUp
      ? [`not: \`${next.name}\` (${next.eliminatedBy}: ${because(next)}${shortBy(next)})`]
      : []),
  ];
}

/** Below this a rule is no runner-up, only the best of what has nothing to do with the message. */
const runnerUpMin = 0.1;

function scoreOf({ scores }: RuleCandidate): number {
  return scores["match"] ?? 0;
}

function because(rule: RuleCandidate): string {
  const match = `match ${scoreOf(rule).toFixed(2)}`;
  return rule.reason === "" ? match : `${match}; ${rule.reason}`;
}

function shortBy({ distance }: RuleCandidate): string {
  return distance > 0 ? `, short by ${distance.toFixed(2)}` : "";
}

function scenarioText(navigation: TurnRecord["navigation"]): readonly string[] {
  if (
    !navigation ||
    (navigation.before === "" &&
      navigation.after === "" &&
      !navigation.moves.some(({ taken }) => taken))
  )
    return [];
  const { before, after, reason, moves } = navigation;
  const taken = moves.filter((move) => move.taken);
  const way = taken.map(
    ({ kind, toStepId, reason: why }) => `${kind}${toStepId ? ` to ${toStepId}` : ""} (${why})`,
  );
  return [
    `scenario: ${before || "none"} → ${after || "none"}${way.length > 0 ? `, by ${way.join(", then ")}` : `, ${reason}`}`,
  ];
}

function toolText({
  name,
  outcome,
  durationMs,
  arguments: given,
  reason,
  missingArguments,
}: ToolCallRecord): string {
  const how = (ToolCallOutcomeSchema.value[outcome]?.localName ?? "")
    .toLowerCase()
    .replaceAll("_", " ");
  const args = given ? ` with ${JSON.stringify(given)}` : "";
  const missing = missingArguments.length > 0 ? ` (${missingArguments.join(", ")})` : "";
  const why = reason === "" ? "" : `, ${reason}`;
  return `tool: \`${name}\`${args} ${how}${missing}${why}, ${Math.round(durationMs)} ms`;
}

function replyFrom(
  { reply, templates }: Omit<TurnRecord, "userText" | "replyText">,
  bundle: Bundle,
): string {
  const used = templates
    .filter((each) => each.used)
    .map(({ name, mode }) => `\`${name}\` (${mode})`);
  const named = bundle.templates.find(({ id }) => id === reply?.templateId)?.name;
  const which = used.length > 0 ? used.join(", ") : named === undefined ? "" : `\`${named}\``;
  const failed = (reply?.checks ?? [])
    .filter(({ passed }) => !passed)
    .map(({ kind, reason }) => `${kind}: ${reason}`);
  const why = reply?.fallbackReason ? `, because: ${reply.fallbackReason}` : "";
  const broken = failed.length > 0 ? `, broken: ${failed.join("; ")}` : "";
  const kept = (reply?.checks.length ?? 0) - failed.length;
  const checks = kept > 0 ? `, ${kept} ${kept === 1 ? "check" : "checks"} kept` : "";
  return `reply: ${reply?.source ?? "none"}${which === "" ? "" : ` ${which}`}${why}${broken}${checks}`;
}

function costOf({ modelCalls, durationMs }: Omit<TurnRecord, "userText" | "replyText">): string {
  return `${modelCalls.length} model calls, ${Math.round(durationMs)} ms`;
}
