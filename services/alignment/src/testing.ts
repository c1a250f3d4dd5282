import { createHash } from "node:crypto";
import {
  create,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { type Identity, tenantOf } from "@soldier/chassis/identity";
import { route, service } from "@soldier/chassis/service";
import {
  runForTest,
  testIdentity,
  type TestMesh,
  type TestOptions,
} from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import {
  AlignmentService,
  type TurnCompleted,
  type TurnStarted,
} from "@soldier/proto/alignment/v1/alignment_service";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import {
  ToolCallOutcome,
  type TurnRecord,
  TurnRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import { Channel } from "@soldier/proto/common/v1/resource";
import { type Bundle, BundleSchema } from "@soldier/proto/config/v1/bundle";
import { ConfigService, type StreamBundleRequest } from "@soldier/proto/config/v1/config_service";
import { type VariableValue, VariableValueSchema } from "@soldier/proto/config/v1/template";
import { MemoryHitSchema, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { CustomerProfileSchema, type CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import {
  type Session,
  SessionSchema,
  SessionStateSchema,
  SessionStatus,
  type Turn,
} from "@soldier/proto/session/v1/session";
import {
  BeginTurnResult,
  type CommitTurnRequest,
  type EndToolCallRequest,
  SessionService,
  ToolCallPermit,
} from "@soldier/proto/session/v1/session_service";
import { alignment } from "./service.ts";

/** Behaviour in JSON, as files have it; names stand where bundles have ids. */
export function bundleOf(behaviour: Record<string, JsonValue>): Bundle {
  const { agent = {}, ...rest } = behaviour;
  const named = (values: JsonValue | undefined): JsonValue[] =>
    (Array.isArray(values) ? values : []).map((value) => {
      const resource = value as Record<string, JsonValue>; // lists of resources are lists of objects
      return { id: resource["name"] ?? newId(), ...resource };
    });
  const lists = ["rules", "groups", "relations", "scenarios", "templates", "variables", "tools"];
  return fromJson(BundleSchema, {
    version: 1,
    ...rest,
    ...Object.fromEntries([...lists, "fieldDefinitions"].map((list) => [list, named(rest[list])])),
    agentId: "agent-1",
    agent: { id: "agent-1", slug: "desk", name: "Desk", ...(agent as Record<string, JsonValue>) },
  });
}

/** Small peers in memory that keep the promises of their contracts that a turn relies on. */
export class Peers {
  bundle: Bundle;
  readonly sessions = new Map<string, Session>();
  readonly turns = new Map<string, Turn[]>();
  readonly commits: CommitTurnRequest[] = [];
  readonly profiles = new Map<string, CustomerProfile>();
  readonly aborted: string[] = [];
  memories: MessageInitShape<typeof MemoryHitSchema>[] = [];
  /** What variables are set to. */
  variableValues: VariableValue[] = [];
  /** Methods that fail with this fault, by name. */
  readonly broken = new Map<string, Fault>();
  /** What the tenant has used today. */
  usage = { tokens: 0n, costMicros: 0n };
  /** How the next bundles are spoilt on their way. */
  brokenStreams: ("short" | "changed")[] = [];
  /** How often each method was called. */
  readonly calls = new Map<string, number>();
  /** Of turns that are not committed. */
  private readonly toolCalls = new Map<
    string,
    { readonly key: string; end: EndToolCallRequest | undefined }
  >();
  private readonly leases = new Map<
    string,
    { turnId: string; token: bigint; texts: readonly string[] }
  >();
  private readonly keys = new Map<
    string,
    { hash: string; turn: Turn | undefined; sessionId: string }
  >();
  private tokens = 0n;

  constructor(bundle: Bundle) {
    this.bundle = bundle;
  }

  /** The record of the latest committed turn. */
  get record(): TurnRecord {
    const record = this.commits.at(-1)?.record;
    if (!record) throw new Error("no turn was committed");
    return record;
  }

  /** Holds a session as a turn of someone else would. */
  occupy(sessionId: string): { release(): void } {
    this.leases.set(sessionId, { turnId: newId(), token: ++this.tokens, texts: [] });
    return { release: () => void this.leases.delete(sessionId) };
  }

  get services() {
    return [this.config(), this.session(), this.profile(), this.memory(), this.audit()];
  }

  private called(method: string): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
    const fault = this.broken.get(method);
    if (fault) throw fault;
  }

  private config() {
    return peer("config", () =>
      route(ConfigService, {
        streamBundle: (request, ctx) => this.parts(request, tenantOf(ctx)),
      }),
    );
  }

  private async *parts({ knownVersion, agentId }: StreamBundleRequest, tenantId: string) {
    this.called("streamBundle");
    const { bundle, variableValues } = this;
    if (agentId !== bundle.agentId && agentId !== bundle.agent?.slug)
      throw new Fault("not-found", `no agent ${agentId}`, { reason: "AGENT_NOT_FOUND" });
    const same = knownVersion === bundle.version;
    const bytes = same ? new Uint8Array(0) : toBinary(BundleSchema, { ...bundle, tenantId });
    const sizeBytes = BigInt(bytes.byteLength);
    const head = { version: bundle.version, sizeBytes, variableValues };
    yield { part: { case: "head" as const, value: head } };
    if (same) return;
    const sha256 = createHash("sha256").update(bytes).digest();
    const broken = this.brokenStreams.shift();
    if (broken === "changed") bytes[0] = (bytes[0] ?? 0) + 1;
    yield {
      part: { case: "piece" as const, value: broken === "short" ? bytes.subarray(1) : bytes },
    };
    if (broken === "short") throw new Fault("unavailable", "the connection was lost");
    yield { part: { case: "end" as const, value: { sha256 } } };
  }

  private session() {
    return peer("session", () =>
      route(SessionService, {
        beginTurn: (req) => {
          this.called("beginTurn");
          const known = req.idempotencyKey ? this.keys.get(req.idempotencyKey) : undefined;
          const hash = Buffer.from(req.requestHash).toString("hex");
          if (known && known.hash !== hash)
            throw new Fault("conflict", "used", { reason: "IDEMPOTENCY_KEY_REUSED" });
          if (known?.turn)
            return {
              result: BeginTurnResult.ANSWERED,
              answered: known.turn,
              session: this.sessions.get(known.sessionId) ?? create(SessionSchema),
            };
          const session =
            req.target.case === "sessionId"
              ? this.sessions.get(req.target.value)
              : create(SessionSchema, {
                  id: newId(),
                  agentId: req.target.value?.agentId ?? "",
                  customerId: req.target.value?.customerId ?? "",
                  channel: req.target.value?.channel ?? Channel.API,
                  status: SessionStatus.ACTIVE,
                  state: {},
                });
          if (!session) throw new Fault("not-found", "none", { reason: "SESSION_NOT_FOUND" });
          if (session.status === SessionStatus.CLOSED)
            throw new Fault("precondition", "closed", { reason: "SESSION_CLOSED" });
          if (this.leases.has(session.id) && !req.supersede)
            return { result: BeginTurnResult.BUSY, session, retryAfterMs: 5n };
          this.sessions.set(session.id, session);
          const supersededTexts = [...(this.leases.get(session.id)?.texts ?? [])];
          const texts = [...supersededTexts, req.text];
          const lease = { turnId: req.turnId, token: ++this.tokens, texts };
          this.leases.set(session.id, lease);
          if (req.idempotencyKey)
            this.keys.set(req.idempotencyKey, { hash, turn: undefined, sessionId: session.id });
          return {
            result: BeginTurnResult.BEGUN,
            session,
            history: this.turns.get(session.id) ?? [],
            turnNumber: session.turnCount + 1,
            supersededTexts,
            ...(req.readUsage && { usageToday: this.usage }),
            lease: {
              sessionId: session.id,
              turnId: lease.turnId,
              fencingToken: lease.token,
              remainingMs: req.leaseMs,
            },
          };
        },
        renewLease: ({ lease, leaseMs }) => {
          this.called("renewLease");
          if (!lease || this.leases.get(lease.sessionId)?.token !== lease.fencingToken)
            throw new Fault("conflict", "lost", { reason: "LEASE_LOST" });
          return { lease: { ...lease, remainingMs: leaseMs } };
        },
        commitTurn: (req) => {
          this.called("commitTurn");
          const session = this.sessions.get(req.lease?.sessionId ?? "");
          if (!session || !req.turn) throw new Fault("invalid", "no session or no turn");
          if (this.leases.get(session.id)?.token !== req.lease?.fencingToken)
            throw new Fault("conflict", "lost", { reason: "LEASE_LOST" });
          this.leases.delete(session.id);
          this.toolCalls.clear();
          this.commits.push(req);
          if (req.usage)
            this.usage = {
              tokens: this.usage.tokens + req.usage.tokens,
              costMicros: this.usage.costMicros + req.usage.costMicros,
            };
          const turn = { ...req.turn, committedAt: timestampFromDate(new Date()) };
          this.sessions.set(session.id, {
            ...session,
            version: session.version + 1n,
            turnCount: session.turnCount + 1,
            status: req.status,
            state: req.state ?? create(SessionStateSchema),
          });
          this.turns.set(session.id, [...(this.turns.get(session.id) ?? []), turn]);
          const key = this.keys.get(turn.idempotencyKey);
          if (key) key.turn = turn;
          return { version: session.version + 1n, turn };
        },
        beginToolCall: ({ lease, key, toolId, argumentsHash }) => {
          this.called("beginToolCall");
          if (!lease || this.leases.get(lease.sessionId)?.token !== lease.fencingToken)
            throw new Fault("conflict", "lost", { reason: "LEASE_LOST" });
          const hash = Buffer.from(argumentsHash).toString("hex");
          const call = `${lease.sessionId} ${toolId} ${hash}`;
          const known = this.toolCalls.get(call);
          if (!known || known.end?.outcome === ToolCallOutcome.FAILED) {
            this.toolCalls.set(call, { key, end: undefined });
            return { permit: ToolCallPermit.RUN, key };
          }
          if (!known.end) return { permit: ToolCallPermit.UNKNOWN, key: known.key };
          const { outcome, reason, result } = known.end;
          const done = { permit: ToolCallPermit.DONE, key: known.key, outcome, reason };
          return result ? { ...done, result } : done;
        },
        endToolCall: (end) => {
          this.called("endToolCall");
          for (const call of this.toolCalls.values()) if (call.key === end.key) call.end ??= end;
          return {};
        },
        abortTurn: ({ lease, usage }) => {
          this.called("abortTurn");
          if (usage)
            this.usage = {
              tokens: this.usage.tokens + usage.tokens,
              costMicros: this.usage.costMicros + usage.costMicros,
            };
          if (lease) {
            const held = this.leases.get(lease.sessionId);
            if (held?.token === lease.fencingToken) this.leases.delete(lease.sessionId);
            this.aborted.push(lease.turnId);
          }
          return {};
        },
      }),
    );
  }

  private profile() {
    return peer("profile", () =>
      route(ProfileService, {
        getOrCreateProfile: ({ channel, externalId }) => {
          this.called("getOrCreateProfile");
          const known = [...this.profiles.values()].find(({ identities }) =>
            identities.some((identity) => identity.externalId === externalId),
          );
          const profile =
            known ??
            create(CustomerProfileSchema, { id: newId(), identities: [{ channel, externalId }] });
          this.profiles.set(profile.id, profile);
          return { profile, created: !known };
        },
        recallProfile: ({ customerId }) => {
          this.called("recallProfile");
          const profile = this.profiles.get(customerId);
          if (!profile) throw new Fault("not-found", "none", { reason: "CUSTOMER_NOT_FOUND" });
          return { profile };
        },
      }),
    );
  }

  private memory() {
    return peer("memory", () =>
      route(MemoryService, {
        recall: () => {
          this.called("recall");
          return { hits: this.memories.map((hit) => create(MemoryHitSchema, hit)) };
        },
      }),
    );
  }

  private audit() {
    return peer("audit", () =>
      route(AuditService, {
        getTurnRecord: ({ turnId }) => {
          const record = this.commits.find(({ turn }) => turn?.id === turnId)?.record;
          if (!record) throw new Fault("not-found", "none", { reason: "TURN_NOT_FOUND" });
          return { record: create(TurnRecordSchema, record) };
        },
      }),
    );
  }
}

function peer(name: string, routeOf: () => ReturnType<typeof route>) {
  return service({ name, settings: {}, start: async () => ({ routes: [routeOf()] }) });
}

/** What a caller sees of one turn. */
export interface Said {
  readonly started: TurnStarted | undefined;
  readonly deltas: readonly string[];
  readonly completed: TurnCompleted;
  readonly reply: string;
  readonly sessionId: string;
}

/** What a message may say beside its text. */
export interface Asking {
  /** The agent may speak first: the text is then empty. */
  readonly opening?: boolean;
  readonly sessionId?: string;
  readonly agent?: string;
  readonly idempotencyKey?: string;
  readonly customer?: { readonly externalId?: string; readonly customerId?: string };
}

export interface TurnUnderTest extends AsyncDisposable {
  readonly peers: Peers;
  readonly mesh: TestMesh;
  readonly client: Client<typeof AlignmentService>;
  /** Sends a message to a new session, or goes on in the one given. */
  say(text: string, more?: Asking): Promise<Said>;
}

/** The service itself with peers in memory, the deterministic embedder, and whatever model is set. */
export async function turnUnderTest(
  behaviour: Record<string, JsonValue>,
  settings: TestOptions = {},
  identity: Identity = testIdentity(),
): Promise<TurnUnderTest> {
  const { variableValues = [], ...published } = behaviour;
  const peers = new Peers(bundleOf(published));
  if (Array.isArray(variableValues))
    peers.variableValues = variableValues.map((value) => fromJson(VariableValueSchema, value));
  const mesh = await runForTest([...peers.services, alignment], {
    ...settings,
    settings: {
      embedder: { provider: "deterministic" },
      events: { url: `inproc://${newId()}` },
      ...settings.settings,
    },
  });
  const client = mesh.as(identity)(AlignmentService);
  return {
    peers,
    mesh,
    client,
    async say(text, more = {}) {
      const opening = { agent: "desk", customer: { externalId: "ada" }, channel: Channel.WEBCHAT };
      let started: TurnStarted | undefined;
      let completed: TurnCompleted | undefined;
      const deltas: string[] = [];
      for await (const { event } of client.processTurn({
        ...(more.sessionId ? {} : opening),
        ...more,
        text,
      })) {
        if (event.case === "started") started = event.value;
        if (event.case === "delta") deltas.push(event.value.text);
        if (event.case === "completed") completed = event.value;
      }
      if (!completed?.turn) throw new Error("the stream ended without the turn");
      const { replyText, sessionId } = completed.turn;
      return { started, deltas, completed, reply: replyText, sessionId };
    },
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  };
}
