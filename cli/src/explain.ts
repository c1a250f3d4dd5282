import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Call } from "@soldier/chassis/service";
import {
  AlignmentService,
  type Belief,
  type Beliefs,
  type ExplainResponse,
} from "@soldier/proto/alignment/v1/alignment_service";
import type { MemoryUse, TurnRecord } from "@soldier/proto/audit/v1/turn_record";

/** Why a turn went as it did, and what was believed of its customer then, for people. */
export async function explain(call: Call, turnId: string): Promise<string> {
  return explanationText(await call(AlignmentService).explain({ turnId }));
}

export function explanationText({ record, beliefs }: ExplainResponse): string {
  if (!record) return "there is no record";
  const lines = [...ofTurn(record), ...ofMemories(record), ...ofBeliefs(beliefs)];
  return lines.join("\n");
}

function ofTurn(record: TurnRecord): readonly string[] {
  const { turnNumber, sessionId, receivedAt, bundleVersion, outcome, personalErased } = record;
  const { reply, rules, navigation, degradations, withheldFields, modelCalls } = record;
  const applied = rules.filter((rule) => rule.applied).map(({ name }) => name);
  const place = [navigation?.before, navigation?.after].map((at) => at || "none");
  const said = (text: string) => text.replaceAll("\n", "\n          ");
  const source = [reply?.source, reply?.fallbackReason].filter(Boolean).join(", ");
  return [
    `turn ${turnNumber} of session ${sessionId}, ${timeOf(receivedAt)}, version ${bundleVersion}: ${outcome}`,
    ...(personalErased
      ? ["what was said has been erased"]
      : [
          `customer: ${said(record.userText)}`,
          `agent:    ${said(record.replyText)}${source && ` [${source}]`}`,
        ]),
    `rules:    ${applied.join(", ") || "none"}`,
    `scenario: ${place[0] === place[1] ? place[0] : place.join(" to ")}`,
    `models:   ${modelCalls.map(({ purpose, model }) => `${purpose} by ${model}`).join(", ") || "none"}`,
    ...degradations.map((each) => `given up: ${each}`),
    ...withheldFields.map(
      ({ name, purpose, reason }) => `withheld: ${name} (${purpose}: ${reason})`,
    ),
  ];
}

function ofMemories({ memories }: TurnRecord): readonly string[] {
  if (memories.length === 0) return [];
  const told = memories.map((one) => {
    const what = [one.kind, one.state, intervalOf(one)].filter(Boolean).join(", ");
    const fate = one.used ? "used" : `left out (${one.reason})`;
    return `  ${what}, score ${one.score.toFixed(2)}, ${one.tokens} tokens: ${fate}`;
  });
  return ["memory:", ...told];
}

function intervalOf({ kind, validFrom, validTo }: MemoryUse): string {
  if (!validFrom) return "";
  if (kind === "episode") return dayOf(validFrom);
  return validTo ? `${dayOf(validFrom)} to ${dayOf(validTo)}` : `since ${dayOf(validFrom)}`;
}

function ofBeliefs(beliefs: Beliefs | undefined): readonly string[] {
  if (!beliefs) return [];
  const { at, erased, unavailable, fields, facts, shortened } = beliefs;
  if (erased) return ["believed: the customer has been erased, and nobody knows any more"];
  return [
    `believed of the customer at ${timeOf(at)} (* used):`,
    ...fields.map((belief) => line(belief, belief.name)),
    ...facts.map((belief) => line(belief, aboutOf(belief))),
    ...(fields.length + facts.length === 0 ? ["  nothing"] : []),
    ...(shortened ? ["  and more facts"] : []),
    ...unavailable.map((part) => `  not known now: ${part}`),
  ];
}

function line({ used, told }: Belief, name: string): string {
  return `${used ? "*" : " "} ${name}: ${told}`;
}

function aboutOf({ subject, name, factId }: Belief): string {
  return [subject, name.replaceAll(/[_.]+/g, " ")].filter(Boolean).join(" ") || `fact ${factId}`;
}

function timeOf(time: Timestamp | undefined): string {
  return time ? timestampDate(time).toISOString() : "at no known time";
}

function dayOf(time: Timestamp): string {
  return timestampDate(time).toISOString().slice(0, 10);
}
