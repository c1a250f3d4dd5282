import { SessionStatusSchema, TurnOutcomeSchema } from "@soldier/proto/session/v1/session";
import type { Check } from "./check.ts";
import { differs, hasAny, lacks, namesIn, numberIn, shown, textIn, truthIn } from "./expected.ts";
import type { Ran } from "./run-case.ts";

function statuses({ said }: Ran): readonly string[] {
  return said.flatMap((each) => each.statuses);
}

/** Replies to the messages that were really sent. */
function replies({ said }: Ran): readonly string[] {
  return said.flatMap(({ completed }) => completed?.turn?.replyText || []);
}

function modelCalls({ records, asked }: Ran): number {
  const recorded = records.reduce((sum, record) => sum + record.modelCalls.length, 0);
  return Math.max(recorded, asked?.length ?? 0);
}

/** Where a turn's record tells of these things. */
const reportParts: Readonly<Record<string, (ran: Ran) => boolean>> = {
  matched_rules: ({ records, plan }) => {
    const names = new Set(
      records
        .at(-1)
        ?.rules.filter((each) => each.applied)
        .map(({ name }) => name),
    );
    const given = plan.case.given.matched_rules ?? [];
    return records.at(-1) !== undefined && given.every((id) => names.has(id));
  },
  active_scenarios: ({ records }) => records.at(-1)?.navigation !== undefined,
  steps: ({ records }) =>
    (records.at(-1)?.steps.length ?? 0) > 0 && records.at(-1)?.navigation !== undefined,
  rules: ({ records }) => (records.at(-1)?.rules.length ?? 0) > 0,
  scenarios: ({ records }) => (records.at(-1)?.scenarios.length ?? 0) > 0,
  tool_calls: ({ records }) => (records.at(-1)?.toolCalls.length ?? 0) > 0,
  templates: ({ records }) => (records.at(-1)?.templates.length ?? 0) > 0,
  variables: ({ records }) => (records.at(-1)?.variables.length ?? 0) > 0,
  relations: ({ records }) => (records.at(-1)?.relations.length ?? 0) > 0,
  model_calls: ({ records }) => (records.at(-1)?.modelCalls.length ?? 0) > 0,
  reply: ({ records }) => records.at(-1)?.reply !== undefined,
  trace_id: ({ records }) => (records.at(-1)?.traceId ?? "") !== "",
  duration: ({ records }) => (records.at(-1)?.durationMs ?? 0) > 0,
};

/** Where the parts of a turn say which trace they belong to. */
const traceParts: Readonly<Record<string, (ran: Ran) => readonly string[]>> = {
  tool_event: ({ called, records }) => [
    // What a tool is told, and what is recorded of its call.
    ...called.flatMap(({ traceId }) => traceId || []),
    (records.at(-1)?.toolCalls.length ?? 0) > 0 ? (records.at(-1)?.traceId ?? "") : "",
  ],
  agent_message: ({ said }) => [said.at(-1)?.completed?.turn?.traceId ?? ""],
  // A stream's events belong to the turn that they name.
  status_events: ({ said, records }) => [
    said.at(-1)?.completed?.turn?.id === records.at(-1)?.turnId
      ? (records.at(-1)?.traceId ?? "")
      : "",
  ],
};

export const engineChecks: Readonly<Record<string, Check>> = {
  messages_count: (expected, ran) =>
    replies(ran).length === numberIn(expected)
      ? undefined
      : `expected ${shown(expected)}, got ${shown(replies(ran))}`,
  replies: (expected, ran) =>
    replies(ran).length === numberIn(expected)
      ? undefined
      : `expected ${shown(expected)}, got ${shown(replies(ran))}`,
  llm_calls: (expected, ran) =>
    modelCalls(ran) === numberIn(expected)
      ? undefined
      : `expected ${shown(expected)}, got ${modelCalls(ran)}`,
  llm_calls_max: (expected, ran) =>
    modelCalls(ran) <= numberIn(expected)
      ? undefined
      : `expected at most ${shown(expected)}, got ${modelCalls(ran)}`,
  llm_calls_for_step_selection(expected, ran) {
    const asked = ran.asked
      ? ran.asked.filter(({ question }) => question.includes("<edges>")).length
      : ran.records
          .flatMap((record) => record.modelCalls)
          .filter(({ purpose }) => ["judge", "scenario"].includes(purpose)).length;
    return asked === numberIn(expected) ? undefined : `expected ${shown(expected)}, got ${asked}`;
  },
  status_events_include: (expected, ran) => lacks(namesIn(expected), statuses(ran)),
  /** These, in this order, whatever comes between. */
  status_events(expected, ran) {
    const got = statuses(ran);
    let from = 0;
    for (const each of namesIn(expected)) {
      const at = got.indexOf(each, from);
      if (at < 0) return `expected ${shown(expected)} in this order, got ${shown(got)}`;
      from = at + 1;
    }
    return undefined;
  },
  no_status: (expected, ran) => hasAny(namesIn(expected), statuses(ran)),
  no_error(expected, ran) {
    const faults = ran.said.flatMap(({ fault }) => (fault ? [fault.reason] : []));
    const degraded = ran.records.flatMap(({ degradations }) => degradations);
    const none =
      faults.length + degraded.length === 0 && ran.said.some(({ completed }) => completed);
    return none === truthIn(expected)
      ? undefined
      : `faults ${shown(faults)}, degraded ${shown(degraded)}`;
  },
  /** The reason of the last message's failure. */
  error: (expected, ran) =>
    ran.said.at(-1)?.fault?.reason === textIn(expected)
      ? undefined
      : `expected ${shown(expected)}, got ${shown(ran.said.at(-1)?.fault?.reason)}`,
  /** "COMPLETED", "DEGRADED", "SILENT". */
  outcome(expected, ran) {
    const outcome = ran.said.at(-1)?.completed?.turn?.outcome;
    const got =
      outcome === undefined ? "none" : (TurnOutcomeSchema.value[outcome]?.localName ?? "");
    return got === textIn(expected) ? undefined : `expected ${shown(expected)}, got ${got}`;
  },
  session_status(expected, ran) {
    const got = ran.session ? SessionStatusSchema.value[ran.session.status]?.localName : "none";
    return got === textIn(expected) ? undefined : `expected ${shown(expected)}, got ${got}`;
  },
  /** Whether the last message was answered before. */
  replayed: (expected, ran) =>
    (ran.said.at(-1)?.completed?.replayed ?? false) === truthIn(expected)
      ? undefined
      : `expected ${shown(expected)}`,
  /** Turns of the session, those before the message included. */
  turns_count: (expected, ran) =>
    ran.turns.length === numberIn(expected)
      ? undefined
      : `expected ${shown(expected)}, got ${ran.turns.length}`,
  turn_report_fields(expected, ran) {
    const wanted = namesIn(expected);
    const unknown = wanted.filter((name) => !Object.hasOwn(reportParts, name));
    if (unknown.length > 0) return `cannot check: ${unknown.join(", ")}`;
    const missing = wanted.filter((name) => !reportParts[name]?.(ran));
    return missing.length === 0 ? undefined : `the record lacks ${shown(missing)}`;
  },
  same_trace_id(expected, ran) {
    const wanted = namesIn(expected);
    const unknown = wanted.filter((name) => !Object.hasOwn(traceParts, name));
    if (unknown.length > 0) return `cannot check: ${unknown.join(", ")}`;
    const ids = [...new Set(wanted.flatMap((name) => traceParts[name]?.(ran) ?? []))];
    return ids.length === 1 && ids[0] !== "" ? undefined : `got ${shown(ids)}`;
  },
  /** What the session's replies were, in order. */
  replies_exactly: (expected, ran) => differs(namesIn(expected), replies(ran), true),
};
