import type { ProcessName } from "./mesh.ts";

/**
 * What a fault run changes in the services' sources as they are loaded: points where a process dies
 * or stalls, or an answer is lost, between two steps that matter, and wrong variants that the run must
 * find out. The product itself holds none of it.
 */
export interface Mutation {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** A point between two steps, made by its mutation; without effect until it is armed. */
export interface Failpoint extends Mutation {
  readonly act: "die" | "lose-answer" | "stall";
  /** The processes that it is armed in, one at a time. */
  readonly within: readonly ProcessName[];
}

const point = (name: string) => `globalThis.faultPoint?.("${name}");`;

const consumers = ["audit", "memory", "profile"] as const;

/** Between every two steps that matter; random kills alone miss most of these gaps. */
export const failpoints: readonly Failpoint[] = [
  {
    name: "session-before-commit",
    file: "services/session/src/rpc/turn-rpc.ts",
    find: "const result = await store.commit(viewer.tenantId, {",
    replace: `${point("session-before-commit")} const result = await store.commit(viewer.tenantId, {`,
    act: "die",
    within: ["session"],
  },
  {
    name: "session-after-commit",
    file: "services/session/src/rpc/turn-rpc.ts",
    find: "          committed();",
    replace: `          ${point("session-after-commit")}\n          committed();`,
    act: "die",
    within: ["session"],
  },
  {
    name: "commit-answer-lost",
    file: "services/session/src/store/commit-turn.ts",
    find: "    throw error;\n  }\n  return await refusal(",
    replace: `    throw error;\n  } finally {\n    ${point("commit-answer-lost")}\n  }\n  return await refusal(`,
    act: "lose-answer",
    within: ["session"],
  },
  {
    name: "relay-after-publish",
    file: "libs/events/src/relay.ts",
    find: "    broker.over();\n    published.inc",
    replace: `    ${point("relay-after-publish")}\n    broker.over();\n    published.inc`,
    act: "die",
    within: ["session"],
  },
  {
    name: "relay-before-publish",
    file: "libs/events/src/relay.ts",
    find: "      receipt = await bus.publish(",
    replace: `      ${point("relay-before-publish")}\n      receipt = await bus.publish(`,
    act: "die",
    within: ["session"],
  },
  {
    name: "consumer-before-effect",
    file: "libs/events/src/jetstream-consumer.ts",
    find: "    await handle(event, { attempt, signal });",
    replace: `    ${point("consumer-before-effect")}\n    await handle(event, { attempt, signal });`,
    act: "die",
    within: consumers,
  },
  {
    name: "consumer-before-ack",
    file: "libs/events/src/jetstream-consumer.ts",
    find: "    message.ack();\n  } catch (error) {\n    const facts",
    replace: `    ${point("consumer-before-ack")}\n    message.ack();\n  } catch (error) {\n    const facts`,
    act: "die",
    within: consumers,
  },
  {
    name: "alignment-before-commit",
    file: "services/alignment/src/pipeline/steps/commit.ts",
    find: "const { turn: stored } = await sessions.commitTurn({",
    replace: `${point("alignment-before-commit")} const { turn: stored } = await sessions.commitTurn({`,
    act: "die",
    within: ["alignment"],
  },
  {
    name: "alignment-after-commit",
    file: "services/alignment/src/pipeline/steps/commit.ts",
    find: "      turn.claim.settled();",
    replace: `      ${point("alignment-after-commit")}\n      turn.claim.settled();`,
    act: "die",
    within: ["alignment"],
  },
  {
    name: "alignment-after-begin",
    file: "services/alignment/src/pipeline/steps/receive.ts",
    find: "      claim.hold(begun.lease);",
    replace: `      claim.hold(begun.lease);\n      ${point("alignment-after-begin")}`,
    act: "die",
    within: ["alignment"],
  },
  {
    name: "tool-before-call",
    file: "services/alignment/src/pipeline/tool-outside.ts",
    find: "  const answer = await transport.call(req, neverAborted);",
    replace: `  ${point("tool-before-call")}\n  const answer = await transport.call(req, neverAborted);`,
    act: "die",
    within: ["alignment"],
  },
  {
    name: "tool-after-call",
    file: "services/alignment/src/pipeline/tool-outside.ts",
    find: "  const end = { ...endOf(req.tool, answer), attempts: answer.kind",
    replace: `  ${point("tool-after-call")}\n  const end = { ...endOf(req.tool, answer), attempts: answer.kind`,
    act: "die",
    within: ["alignment"],
  },
  {
    name: "stall-before-commit",
    file: "services/alignment/src/pipeline/steps/commit.ts",
    find: "const { turn: stored } = await sessions.commitTurn({",
    replace: `${point("stall-before-commit")} const { turn: stored } = await sessions.commitTurn({`,
    act: "stall",
    within: ["alignment"],
  },
];

export interface Control {
  readonly name: string;
  readonly mutations: readonly Mutation[];
  /** SQL run once the tables are there: takes away what would hide the fault. */
  readonly prepare?: string;
  /** What brings its wrong to light, by the names of kinds of faults: nothing else is injected. */
  readonly faults: readonly string[];
}

/** Each breaks one promise; a run with it must find turns lost or doubled. */
export const controls: readonly Control[] = [
  {
    name: "relay-marks-first",
    mutations: [
      {
        name: "relay-marks-first",
        file: "libs/events/src/relay.ts",
        find: "  async function send(row: OutboxRow, patience: AbortSignal): Promise<void> {\n    let receipt: Receipt | undefined;\n    try {",
        replace:
          "  async function send(row: OutboxRow, patience: AbortSignal): Promise<void> {\n    let receipt: Receipt | undefined;\n    try {\n      await markPublished(sql, [{ seq: row.seq, receipt: undefined }]);",
      },
    ],
    faults: ["session: relay-before-publish"],
  },
  {
    name: "consumer-acks-first",
    mutations: [
      {
        name: "consumer-acks-first",
        file: "libs/events/src/jetstream-consumer.ts",
        find: "  const working = setInterval(",
        replace: "  await message.ackAck();\n  const working = setInterval(",
      },
    ],
    faults: consumers.map((name) => `${name}: consumer-before-effect`),
  },
  {
    name: "no-inbox",
    mutations: [
      {
        name: "no-inbox",
        file: "libs/events/src/inbox.ts",
        find: "    insert into inbox (consumer, event_id) values (${consumer}, ${event.id})\n    on conflict do nothing returning event_id`;",
        replace: "    select ${event.id}::uuid as event_id, ${consumer}::text as consumer`;",
      },
      {
        name: "no-inbox-in-audit",
        file: "services/audit/src/store/add-turn-records.ts",
        find: "      insert into inbox (consumer, event_id)\n      select ${consumer}, event_id from given order by event_id\n      on conflict do nothing returning event_id\n",
        replace: "      select event_id from given\n",
      },
      {
        name: "no-inbox-in-memory",
        file: "services/memory/src/store/postgres.ts",
        find: "      insert into inbox (consumer, event_id)\n      select ${consumerName}, id::uuid from jsonb_array_elements_text(${sql.json(eventIds)}) as id\n      on conflict do nothing returning event_id\n",
        replace:
          "      select id::uuid as event_id from jsonb_array_elements_text(${sql.json(eventIds)}) as id\n",
      },
    ],
    // Records have a natural key, too, which would hide it.
    prepare: "alter table audit.turn_records drop constraint turn_records_pkey",
    faults: consumers.map((name) => `${name}: consumer-before-ack`),
  },
  {
    name: "commit-without-fencing",
    mutations: [
      {
        name: "commit-without-fencing",
        file: "services/session/src/store/commit-turn.ts",
        find: "        and lease_turn_id = ${lease.turnId} and lease_token = ${lease.token.toString()}\n        and version = ${expectedVersion.toString()} and turn_count + 1 = ${turn.number}\n",
        replace:
          "        and ${lease.token.toString()}::text <> '' and ${expectedVersion.toString()}::text <> ''\n",
      },
      {
        name: "commit-takes-any-number",
        file: "services/session/src/store/commit-turn.ts",
        find: "${lease.sessionId}, ${turn.number}, ${lease.turnId}, version, ${now},",
        replace: "${lease.sessionId}, version::int, ${lease.turnId}, version, ${now},",
      },
    ],
    faults: ["alignment: stall-before-commit"],
  },
  {
    name: "no-ledger",
    mutations: [
      {
        name: "no-ledger",
        file: "services/alignment/src/pipeline/tool-outside.ts",
        find: "  switch (permit.kind) {",
        replace: '  switch ("run") {',
      },
    ],
    faults: ["alignment: tool-after-call"],
  },
];
