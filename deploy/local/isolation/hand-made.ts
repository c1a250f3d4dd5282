import { newId } from "@soldier/kernel/ids";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { Channel } from "@soldier/proto/common/v1/resource";
import { VariableLevel } from "@soldier/proto/config/v1/template";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { Comparison } from "@soldier/proto/memory/v1/memory_service";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import * as bodies from "./bodies.ts";
import { claim, type World } from "./world.ts";

/** Who is named in a request, and who words it: they need not be the same tenant. */
export type Wording = Pick<World, "ids" | "voice">;

type Made = (wording: Wording) => Readonly<Record<string, unknown>>;

/**
 * What a request needs beyond the ids that are found by the names of its fields; several when an RPC
 * has several ways in. The first is the one that ids are planted in.
 */
export const handMade: Readonly<Record<string, readonly Made[]>> = {
  "AlignmentService/ProcessTurn": [
    ({ ids, voice }) => ({
      agent: ids.at("agent"),
      sessionId: ids.at("session_id"),
      customer: { externalId: ids.at("external_id") },
      text: voice.text("more"),
      idempotencyKey: "",
    }),
    ({ ids, voice }) => ({
      agent: ids.at("agent"),
      sessionId: "",
      customer: { customerId: ids.at("customer_id") },
      channel: Channel.API,
      text: voice.text("more"),
      idempotencyKey: "",
    }),
    // Word for word what the owner's first turn was asked with.
    ({ ids, voice }) => ({
      agent: ids.at("agent_id"),
      sessionId: "",
      customer: { externalId: ids.at("external_id") },
      channel: Channel.API,
      text: voice.text("example of main"),
      idempotencyKey: ids.at("idempotency_key"),
      metadata: { about: voice.text("label") },
    }),
  ],
  "AlignmentService/DryRun": [
    ({ ids, voice }) => ({
      text: voice.text("more"),
      behaviour: { case: "version", value: 1n },
      customer: { customerId: ids.at("customer_id"), externalId: ids.at("external_id") },
    }),
    ({ voice }) => ({ text: voice.text("more"), behaviour: { case: "draft", value: true } }),
    ({ voice }) => ({
      text: voice.text("more"),
      behaviour: { case: "document", value: bodies.document(voice) },
    }),
  ],
  "AuditService/ListTurnRecords": [
    () => ({}),
    () => ({ sessionId: "", agentId: "", customerId: "" }),
  ],
  "AuditService/ListAuditEvents": [() => ({}), () => ({ resourceId: "" })],
  "ChatService/SendMessage": [chatMessage, openingMessage],
  "ChatService/SendMessageStream": [
    (wording) => ({ message: chatMessage(wording) }),
    (wording) => ({ message: openingMessage(wording) }),
  ],
  "ChatService/Converse": [
    (wording) => ({ message: chatMessage(wording) }),
    (wording) => ({ message: openingMessage(wording) }),
  ],
  "ConfigService/RollbackAgent": [({ voice }) => ({ version: 1n, comment: voice.text("back") })],
  "ConfigService/CompileBundle": [
    ({ voice }) => ({ document: bodies.document(voice) }),
    () => ({ document: undefined }),
  ],
  "ConfigService/StreamBundle": [
    () => ({}),
    () => ({ version: 1n }),
    ({ voice }) => ({ trial: { document: bodies.document(voice) } }),
    () => ({ trial: {} }),
  ],
  "ConfigService/GetBundle": [() => ({}), () => ({ version: 1n })],
  "ConfigService/ExportAgent": [() => ({}), () => ({ version: 1n })],
  "ConfigService/ApplyAgent": [
    ({ ids, voice }) => ({ document: applied(ids.at("agent"), voice), dryRun: true }),
    ({ ids, voice }) => ({ document: applied(ids.at("agent"), voice), publish: true }),
  ],
  "ConfigService/SetVariableValue": [
    (wording) => ({
      value: {
        ...customersValue(wording),
        value: { kind: { case: "stringValue", value: wording.voice.text("value") } },
      },
    }),
    (wording) => ({ value: customersValue(wording) }), // takes it away
    ({ ids }) => ({
      value: { variable: ids.at("variable"), level: VariableLevel.GROUP, key: ids.at("group_key") },
    }),
  ],
  "ConfigService/CreateMigrationPlan": [() => ({ fromVersion: 1n })],
  "MemoryService/Search": [
    ({ voice }) => ({ query: voice.text("document"), everyGroup: false }),
    ({ voice }) => ({ query: voice.text("entity main"), factsMax: 50, summariesMax: 50 }),
    ({ voice }) => ({
      query: voice.text("document"),
      groupIds: [],
      everyGroup: true,
      factsMax: 50,
    }),
  ],
  "MemoryService/Recall": [
    ({ voice }) => ({ query: voice.text("document"), exceptSessionId: "", factsMax: 50 }),
  ],
  "MemoryService/AddEpisode": [(wording) => ({ episode: episode(wording) })],
  "MemoryService/AddEpisodes": [(wording) => ({ episode: episode(wording) })],
  "MemoryService/AddClaims": [(wording) => ({ claims: [claim(wording)] })],
  "MemoryService/ListEntities": [() => ({ name: "" })],
  "MemoryService/QueryFacts": [
    ({ ids }) => ({ groupIds: [ids.at("group_id")] }),
    ({ ids }) => ({
      groupIds: [ids.at("group_id")],
      subjectTypes: ["person"],
      attributes: [{ name: "said", comparison: Comparison.IS_NULL }],
    }),
  ],
  "MemoryService/AddEntities": [
    ({ ids, voice }) => ({
      entities: [
        {
          groupId: ids.at("group_id"),
          type: "person",
          name: voice.text("entity"),
          mentionedIn: [ids.at("episode_id")],
        },
      ],
    }),
    ({ ids, voice }) => ({
      entities: [{ groupId: ids.at("group_id"), type: "person", name: voice.text("entity") }],
    }),
  ],
  "MemoryService/AddSummary": [
    ({ ids, voice }) => ({
      summary: {
        groupId: ids.at("group_id"),
        text: voice.text("summary"),
        inputIds: [ids.at("episode_id", 1)],
      },
    }),
  ],
  "MemoryService/RankEntities": [
    () => ({}),
    ({ ids }) => ({ nearEntityId: "", entityIds: [ids.at("entity_id"), ids.at("entity_id", 1)] }),
  ],
  "MemoryService/WalkGraph": [() => ({}), () => ({ groupId: "", depthMax: 5 })],
  "MemoryService/Erase": [
    ({ ids }) => ({ scope: { case: "customerId", value: ids.at("customer_id") } }),
  ],
  "MemoryService/ReprocessEpisodes": [() => ({ stage: "embedded" })],
  "SessionService/EraseSessions": [
    ({ ids }) => ({ scope: { case: "sessionId", value: ids.at("session_id") } }),
    ({ ids }) => ({ scope: { case: "customerId", value: ids.at("customer_id") } }),
  ],
  "MemoryService/SetPredicates": [() => ({ predicates: [{ name: "lives_in" }] })],
  "ProfileService/GetOrCreateProfile": [() => ({ channel: Channel.API })],
  "ProfileService/GetProfile": [() => ({}), () => ({ asOf: { recorded: afterAll } })],
  "ProfileService/ListFieldHistory": [() => ({}), () => ({ recorded: afterAll })],
  "ProfileService/LinkIdentity": [
    () => ({ channel: Channel.API }),
    () => ({ channel: Channel.API, move: true }),
  ],
  "ProfileService/UnlinkIdentity": [
    ({ ids }) => ({ channel: Channel.EMAIL, externalId: ids.at("linked_name") }),
  ],
  "ProfileService/UnmergeProfiles": [({ ids }) => ({ mergeId: ids.at("profile_merge_id") })],
  "ProfileService/UpdateField": [
    ({ ids, voice }) => ({
      value: { kind: { case: "stringValue", value: voice.text("first field value") } },
      source: FieldSource.HUMAN_ENTERED,
      sessionId: "",
      scenarioId: "",
      stepId: "",
      idempotencyKey: ids.at("update_field_key"),
    }),
  ],
  "ProfileService/RecordConsent": [
    ({ voice }) => ({
      consent: { purpose: "marketing", granted: false, evidence: voice.text("evidence") },
    }),
  ],
  "ProfileService/AddAsset": [
    ({ ids, voice }) => ({
      asset: {
        kind: "passport",
        uri: `s3://files/${voice.name("asset_main")}`,
        checksum: new Uint8Array(32),
        mediaType: "image/png",
        sessionId: ids.at("session_id"),
      },
    }),
  ],
  "SessionService/BeginTurn": [
    ({ ids, voice }) => ({
      target: { case: "sessionId", value: ids.at("session_id") },
      turnId: newId(),
      idempotencyKey: "",
      historyTurnsMax: 10,
      readUsage: true,
      supersede: true,
      leaseMs: 1n, // over at once: others need the session
      text: voice.text("more"),
    }),
    ({ ids }) => ({
      target: { case: "sessionId", value: ids.at("running_session_id") },
      turnId: ids.at("running_turn_id"),
      idempotencyKey: ids.at("running_key"),
      leaseMs: 600_000n,
    }),
    ({ ids }) => ({
      target: {
        case: "newSession",
        value: { agentId: ids.at("agent_id"), customerId: ids.at("customer_id") },
      },
      turnId: newId(),
      idempotencyKey: "",
      readUsage: true,
    }),
  ],
  "SessionService/RenewLease": [(wording) => ({ lease: lease(wording), leaseMs: 600_000n })],
  "SessionService/BeginToolCall": [
    (wording) => ({
      lease: lease(wording),
      key: `${wording.ids.at("running_turn_id")}:tool:3`,
      argumentsHash: new Uint8Array(32).fill(7),
      idempotencyKey: wording.ids.at("running_key"),
    }),
  ],
  "SessionService/EndToolCall": [
    (wording) => ({
      lease: lease(wording),
      key: wording.ids.at("tool_call_key"),
      outcome: ToolCallOutcome.FAILED,
      reason: wording.voice.text("reason"),
    }),
  ],
  "SessionService/CommitTurn": [
    (wording) => ({
      lease: lease(wording),
      expectedVersion: 1n,
      state: {},
      turn: {
        number: 1,
        userText: wording.voice.text("message"),
        replyText: wording.voice.text("reply"),
      },
      record: { turnId: wording.ids.at("running_turn_id"), agentId: wording.ids.at("agent_id") },
    }),
  ],
  "SessionService/AbortTurn": [(wording) => ({ lease: lease(wording) })],
  "SessionService/ListSessions": [() => ({}), () => ({ agentId: "", customerId: "" })],
  "SessionService/OverrideStep": [
    ({ ids, voice }) => ({
      position: {
        scenarioId: ids.at("scenario_id"),
        scenarioVersion: 1n,
        stepId: ids.at("step_id"),
      },
      reason: voice.text("reason"),
    }),
  ],
};

/** As known then; there a statement of another kind asks for it. */
const afterAll = { seconds: 4_000_000_000n };

function chatMessage({ ids, voice }: Wording) {
  return {
    agent: ids.at("agent"),
    sessionId: ids.at("session_id"),
    message: voice.text("more"),
    customer: ids.at("external_id"),
    idempotencyKey: "",
  };
}

function openingMessage(wording: Wording) {
  return { ...chatMessage(wording), sessionId: "", channel: Channel.API };
}

function applied(slug: string, voice: World["voice"]) {
  const document = bodies.document(voice);
  return { ...document, agent: { ...document.agent, slug } };
}

function customersValue({ ids }: Wording) {
  const variable = ids.at("variable");
  return { variable, level: VariableLevel.CUSTOMER, key: ids.at("customer_id") };
}

function episode({ ids, voice }: Wording) {
  return {
    ingestKey: ids.at("ingest_key"),
    groupId: ids.at("group_id"),
    customerId: ids.at("customer_id"),
    role: EpisodeRole.DOCUMENT,
    text: voice.text("document"),
    occurredAt: { seconds: 1_700_000_000n },
  };
}

function lease({ ids }: Wording) {
  return {
    sessionId: ids.at("running_session_id"),
    turnId: ids.at("running_turn_id"),
    fencingToken: BigInt(ids.at("running_token")),
  };
}
