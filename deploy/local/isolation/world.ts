import { randomBytes } from "node:crypto";
import type { Identity } from "@soldier/chassis/identity";
import type { TestMesh } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { VariableLevel } from "@soldier/proto/config/v1/template";
import { ClaimKind, EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import * as bodies from "./bodies.ts";
import { KnownIds } from "./ids.ts";
import type { Voice } from "./voice.ts";

/** A tenant with something of every kind. */
export interface World {
  readonly identity: Identity;
  readonly voice: Voice;
  readonly ids: KnownIds;
}

/** Everything that a role allows. */
export const allRoles: readonly string[] = ["chat", "delegate", "operator"];

/** Whoever is not told by the tenant is told by nothing: all tenants have a user of this name. */
export const subject = "somebody";

/** Fills a fresh tenant, through the API alone. */
export async function fillWorld(mesh: TestMesh, tenantId: string, voice: Voice): Promise<World> {
  const identity: Identity = { tenantId, subject, roles: allRoles };
  const ids = new KnownIds();
  const world: World = { identity, voice, ids };
  ids.add("tenant_id", tenantId);
  await publishBehaviour(mesh, world);
  await makeCustomers(mesh, world);
  await holdConversations(mesh, world);
  await payForTurn(mesh, world);
  await leaveTurnRunning(mesh, world);
  await remember(mesh, world);
  return world;
}

async function publishBehaviour(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const config = mesh.as(identity)(ConfigService);
  const document = bodies.document(voice);
  const comment = voice.text("comment");
  const { agentId } = await config.applyAgent({ document, publish: true, comment });
  // Another version, so that there is one to go back to.
  await config.updateAgent({
    agent: { ...bodies.agent(voice, "main"), id: agentId, name: voice.text("second name") },
  });
  await config.publishAgent({ agentId, comment });
  const spare = await config.createAgent({ agent: bodies.agent(voice, "spare") });
  ids.add("agent_id", agentId, spare.agent?.id ?? "");
  ids.add("agent", bodies.agent(voice, "main").slug ?? "");
  ids.add("slug", bodies.agent(voice, "main").slug ?? "");
  ids.add("variable", voice.name("variable_main"));
  ids.add("step_id", voice.name("step"), voice.name("step_end"));
  for (const which of ["first", "second"]) {
    const key = voice.name(`customers_${which}`);
    ids.add("group_key", key);
    await config.setVariableValue({
      agentId,
      value: {
        variable: voice.name("variable_main"),
        level: VariableLevel.GROUP,
        key,
        value: { kind: { case: "stringValue", value: voice.text("variable's value") } },
      },
    });
  }
}

async function makeCustomers(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const profiles = mesh.as(identity)(ProfileService);
  for (const which of ["main", "spare"]) {
    const externalId = voice.name(`external_${which}`);
    const { profile } = await profiles.getOrCreateProfile({ channel: Channel.API, externalId });
    const customerId = profile?.id ?? "";
    ids.add("customer_id", customerId);
    ids.add("group_id", customerId);
    ids.add("key", customerId);
    ids.add("external_id", externalId);
    ids.add("customer", externalId);
    for (const value of ["first", "second"])
      await profiles.updateField({
        customerId,
        name: voice.name("field_main"),
        value: { kind: { case: "stringValue", value: voice.text(`${value} field value`) } },
        source: FieldSource.HUMAN_ENTERED,
        idempotencyKey: voice.name(`update_${value}`),
      });
    const evidence = voice.text("consent's evidence");
    await profiles.recordConsent({
      customerId,
      consent: { purpose: "marketing", granted: true, evidence },
    });
  }
  ids.add("linked_name", voice.name("linked"));
  await profiles.linkIdentity({
    customerId: ids.at("customer_id"),
    channel: Channel.EMAIL,
    externalId: ids.at("linked_name"),
  });
  for (const which of ["first", "second"])
    await profiles.addAsset({
      customerId: ids.at("customer_id"),
      asset: {
        kind: "passport",
        uri: `s3://files/${voice.name(`asset_${which}`)}`,
        checksum: new Uint8Array(32),
        mediaType: "image/png",
      },
    });
  await mergeTwins(mesh, { identity, voice, ids });
  const externalId = voice.name("external_gone");
  const gone = await profiles.getOrCreateProfile({ channel: Channel.API, externalId });
  await profiles.eraseProfile({ customerId: gone.profile?.id ?? "" });
  ids.add("update_field_key", voice.name("update_first"));
  ids.add("name", voice.name("field_main"));
}

/** Two customers who were found to be one. */
async function mergeTwins(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const profiles = mesh.as(identity)(ProfileService);
  const twins = ["one", "other"].map(async (which) => {
    const externalId = voice.name(`twin_${which}`);
    const { profile } = await profiles.getOrCreateProfile({ channel: Channel.API, externalId });
    return profile?.id ?? "";
  });
  const [fromCustomerId = "", intoCustomerId = ""] = await Promise.all(twins);
  const evidence = voice.text("evidence of the twins");
  const { mergeId } = await profiles.mergeProfiles({ fromCustomerId, intoCustomerId, evidence });
  ids.add("profile_merge_id", mergeId);
  ids.add("twin_id", fromCustomerId, intoCustomerId);
}

async function holdConversations(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const alignment = mesh.as(identity)(AlignmentService);
  let sessionId = "";
  for (const [number, message] of ["example of main", "more", "again", "other", "bye"].entries()) {
    if (number === 2 || number === 3) sessionId = ""; // two turns, one, and two
    const idempotencyKey = voice.name(`message_${number}`);
    const events = alignment.processTurn({
      agent: ids.at("agent_id"),
      sessionId,
      customer: { externalId: ids.at("external_id") },
      channel: Channel.API,
      text: voice.text(message),
      idempotencyKey,
      metadata: { about: voice.text("label") },
    });
    for await (const { event } of events) {
      if (event.case !== "completed" || !event.value.turn) continue;
      const { turn } = event.value;
      sessionId = turn.sessionId;
      ids.add("session_id", sessionId);
      ids.add("turn_id", turn.id);
    }
    ids.add("idempotency_key", idempotencyKey);
  }
}

/** A turn that a model was paid for: its use is counted. */
async function payForTurn(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const sessions = mesh.as(identity)(SessionService);
  const agentId = ids.at("agent_id");
  const { lease, session } = await sessions.beginTurn({
    target: { case: "newSession", value: { agentId, customerId: ids.at("customer_id") } },
    turnId: newId(),
  });
  await sessions.commitTurn({
    lease,
    expectedVersion: session?.version ?? 0n,
    state: {},
    turn: { number: 1, userText: voice.text("paid message"), replyText: voice.text("paid reply") },
    record: { agentId, sessionId: session?.id ?? "", userText: voice.text("paid message") },
    usage: { tokens: 4_242n, costMicros: 424_242n },
  });
}

/** A turn that holds its lease, with a tool call that has ended and one that has not. */
async function leaveTurnRunning(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const sessions = mesh.as(identity)(SessionService);
  const turnId = newId();
  const { lease, session } = await sessions.beginTurn({
    target: {
      case: "newSession",
      value: { agentId: ids.at("agent_id"), customerId: ids.at("customer_id") },
    },
    turnId,
    idempotencyKey: voice.name("running"),
    text: voice.text("running message"),
    leaseMs: 600_000n,
  });
  const call = { lease, toolId: voice.name("tool_main"), argumentsHash: randomBytes(32) };
  const ended = `${turnId}:tool:1`;
  await sessions.beginToolCall({ ...call, key: ended });
  await sessions.endToolCall({
    lease,
    key: ended,
    outcome: ToolCallOutcome.SUCCEEDED,
    result: { kind: { case: "stringValue", value: voice.text("tool's result") } },
  });
  await sessions.beginToolCall({
    ...call,
    key: `${turnId}:tool:2`,
    argumentsHash: randomBytes(32),
  });
  ids.add("running_session_id", session?.id ?? "");
  ids.add("running_turn_id", turnId);
  ids.add("running_token", String(lease?.fencingToken ?? 0n));
  ids.add("running_key", voice.name("running"));
  ids.add("tool_call_key", `${turnId}:tool:2`, ended);
}

/** More than two summaries stand for. */
const turnsTold = 42;

async function remember(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const memory = mesh.as(identity)(MemoryService);
  const told = Array.from({ length: turnsTold }, async (_, i) => {
    await memory.addEpisode({
      episode: {
        ingestKey: voice.name(`told_${i}`),
        groupId: ids.at("group_id"),
        customerId: ids.at("customer_id"),
        turnId: voice.name(`told_turn_${i}`),
        role: EpisodeRole.USER,
        text: voice.text(`what was told in turn ${i}`),
        occurredAt: { seconds: 1_600_000_000n + BigInt(i) },
      },
    });
  });
  await Promise.all(told);
  for (const which of ["main", "spare"]) {
    const ingestKey = voice.name(`document_${which}`);
    const { episode } = await memory.addEpisode({
      episode: {
        ingestKey,
        groupId: ids.at("group_id"),
        customerId: ids.at("customer_id"),
        role: EpisodeRole.DOCUMENT,
        text: voice.text(`document about ${which}`),
        occurredAt: { seconds: 1_700_000_000n },
      },
    });
    ids.add("episode_id", episode?.id ?? "");
    ids.add("ingest_key", ingestKey);
  }
  await rememberFacts(mesh, { identity, voice, ids });
  // Of sessions that nobody has: the certificates are what is looked at.
  for (const value of [newId(), newId()]) {
    const { erasure } = await memory.erase({ scope: { case: "sessionId", value } });
    ids.add("erasure_id", erasure?.id ?? "");
  }
}

/** Of fewer, ending most is nothing unusual. */
const factsHeld = 12;

/** What part of the contract is not built yet is left out; its ids are then of nobody. */
async function rememberFacts(mesh: TestMesh, { identity, voice, ids }: World): Promise<void> {
  const memory = mesh.as(identity)(MemoryService);
  const groupId = ids.at("group_id");
  const named = await built(
    memory.addEntities({
      entities: ["main", "twin", "other twin", "spare"].map((which) => ({
        groupId,
        type: "person",
        name: voice.text(`entity ${which}`),
        mentionedIn: [ids.at("episode_id")],
      })),
    }),
  );
  ids.add("entity_id", ...(named?.entities.map(({ id }) => id) ?? [newId(), newId()]));
  await built(memory.setPredicates({ predicates: [{ name: voice.name("predicate") }] }));
  ids.add("predicate", voice.name("predicate"));
  const claims = Array.from({ length: factsHeld }, (_, i) => claim({ ids, voice }, `fact ${i}`));
  const between = {
    ...claim({ ids, voice }),
    value: { case: "object" as const, value: ids.at("entity_id", 3) },
    attributes: { note: voice.text("attribute") },
  };
  const said = await built(memory.addClaims({ claims: [...claims, between] }));
  ids.add("claim_id", ...(said?.claims.map(({ id }) => id) ?? [newId()]));
  // To end nearly all of them at once waits for a person's review.
  for (const ended of [said?.claims.slice(1), said?.claims.slice(2)]) {
    if (!ended) continue;
    const { parked } = await memory.addClaims({
      claims: ended.map((one) => ({
        groupId: ids.at("group_id"),
        kind: ClaimKind.END,
        subject: one.subject,
        predicate: one.predicate,
        value: one.value,
        validTo: { seconds: 4_000_000_000n },
        targetClaimId: one.id,
      })),
    });
    ids.add("parked_id", parked?.id ?? "");
  }
  const twins = { fromEntityId: ids.at("entity_id", 1), toEntityId: ids.at("entity_id", 2) };
  const merged = named && (await built(memory.mergeEntities(twins)));
  ids.add("merge_id", merged?.merge?.id ?? newId());
  ids.add("plan_id", newId());
  ids.add("migration_plan_id", ids.at("plan_id"));
}

/** Something that is said of the world's own entity. */
export function claim({ ids, voice }: Pick<World, "ids" | "voice">, what = "claimed") {
  return {
    groupId: ids.at("group_id"),
    kind: ClaimKind.ASSERT,
    subject: ids.at("entity_id"),
    predicate: ids.find("predicate") ?? voice.name("predicate"),
    value: {
      case: "literal" as const,
      value: { kind: { case: "stringValue" as const, value: voice.text(what) } },
    },
  };
}

async function built<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Fault && error.kind === "unimplemented") return undefined;
    throw error;
  }
}

/** The ids that only the tenant's own records tell; once they have arrived. */
export async function learnRecords(mesh: TestMesh, { identity, ids }: World): Promise<void> {
  const audit = mesh.as(identity)(AuditService);
  const { end } = await audit.verifyChain({});
  ids.add("known_end", end);
  const { events } = await audit.listAuditEvents({});
  const [event] = events;
  if (!event) throw new Error("nothing was audited");
  ids.add("resource_id", event.resourceId);
  ids.add("audit_event_id", event.id);
}
