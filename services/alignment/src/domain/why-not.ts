import type { RuleCandidate, TurnRecord } from "@soldier/proto/audit/v1/turn_record";

/** What became of one rule in a turn, in a sentence. */
export function whyNot(
  record: TurnRecord,
  rule: string,
): { candidate?: RuleCandidate; explanation: string } {
  const candidate = record.rules.find(({ ruleId, name }) => ruleId === rule || name === rule);
  if (!candidate) {
    const scores = record.rules.flatMap(({ applied, scores: parts }) =>
      applied ? [] : [parts["match"] ?? 0],
    );
    const lowest = scores.length > 0 ? Math.min(...scores).toFixed(2) : "0";
    return {
      explanation: `${rule} was no candidate in turn ${record.turnNumber}: it is not in version ${record.bundleVersion}, or its match was below ${lowest}, the lowest on record.`,
    };
  }
  const { name, applied, eliminatedBy, reason, distance } = candidate;
  if (applied) return { candidate, explanation: `${name} applied: ${reason}.` };
  const short = distance > 0 ? `, short by ${Number(distance.toFixed(3))}` : "";
  return {
    candidate,
    explanation: `${name} was taken out by ${eliminatedBy || "nothing, but did not apply"}${short}: ${reason}.`,
  };
}
