import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";

/**
 * How many entries each list of a record may have. An agent with thousands of rules can fill some of
 * them without end, and a record has to go through the outbox and the bus as one message.
 */
const entriesMax = 300;

/** The record with lists of bounded length; what was left out is counted in it. */
export function bounded(record: TurnRecord): TurnRecord {
  const shortened: string[] = [];
  const first = <T>(name: string, list: T[]): T[] => {
    if (list.length <= entriesMax) return list;
    shortened.push(`${name}: ${entriesMax} of ${list.length}`);
    return list.slice(0, entriesMax);
  };
  const { navigation, reply } = record;
  return {
    ...record,
    scenarios: first("scenarios", record.scenarios),
    relations: first("relations", record.relations),
    memories: first("memories", record.memories),
    profileUses: first("profile_uses", record.profileUses),
    variables: first("variables", record.variables),
    toolCalls: first("tool_calls", record.toolCalls),
    templates: first("templates", record.templates),
    modelCalls: first("model_calls", record.modelCalls),
    ...(navigation && {
      navigation: { ...navigation, moves: first("moves", navigation.moves) },
    }),
    ...(reply && { reply: { ...reply, checks: first("checks", reply.checks) } }),
    shortened,
  };
}
