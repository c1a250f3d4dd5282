import { create, type DescService, type Message } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Identity, identityOf } from "@soldier/chassis/identity";
import { route, type Route, type Service, service } from "@soldier/chassis/service";
import { runForTest, type TestMesh } from "@soldier/chassis/testing";
import { Fault, type FaultKind } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import {
  AlignmentService,
  type ProcessTurnRequest,
} from "@soldier/proto/alignment/v1/alignment_service";
import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { SignJWT } from "jose";
import { forwardedServices, isPublic } from "./rpc/forward.ts";
import { chatGateway } from "./service.ts";

/** A call that reached a peer. */
export interface Reached {
  readonly rpc: string;
  readonly request: Message;
  readonly identity: Identity;
}

export interface Gateway extends TestMesh {
  readonly url: string;
  /** What reached the peers so far. */
  readonly reached: readonly Reached[];
  /** Turns that were cut off while they ran. */
  readonly cancelled: readonly string[];
}

export interface GatewayOptions {
  /** Keys of [chat_gateway]. */
  readonly settings?: Record<string, unknown>;
  /** Over the [server] table of every service. */
  readonly server?: Record<string, unknown>;
  /** Handlers of peers that shall do more than note what reaches them. */
  readonly routes?: readonly Route[];
}

/**
 * The gateway on a socket, with peers that note what reaches them and answer nothing, but for
 * conversations: a turn answers "You said: <text>" word by word; "fail:<kind>" fails at once,
 * "break" after a word, "slow" never ends. An opening is answered "Welcome!", but the agent "mute" is
 * silent. The session "missing" is of the zero id.
 */
export async function openGateway({
  settings = {},
  server = {},
  routes = [],
}: GatewayOptions = {}): Promise<Gateway> {
  const reached: Reached[] = [];
  const cancelled: string[] = [];
  const own = [
    route(AlignmentService, turns(reached, cancelled)),
    route(SessionService, sessions(reached)),
    ...routes,
  ];
  const peers = forwardedServices.map((desc) => peerOf(desc, reached, own));
  const mesh = await runForTest([chatGateway, ...peers], {
    settings: { chat_gateway: settings, server },
  });
  if (mesh.url === undefined) throw new Error("the gateway does not listen");
  return { ...mesh, url: mesh.url, reached, cancelled };
}

function peerOf(desc: DescService, reached: Reached[], own: readonly Route[]): Service {
  const note = (rpc: string, request: Message, ctx: HandlerContext) =>
    void reached.push({ rpc, request, identity: identityOf(ctx) });
  const handlers: Record<string, unknown> = {};
  for (const method of desc.methods.filter(isPublic)) {
    const rpc = `${desc.name}/${method.name}`;
    const answer = create(method.output);
    if (method.methodKind === "unary")
      handlers[method.localName] = (request: Message, ctx: HandlerContext) => {
        note(rpc, request, ctx);
        return answer;
      };
    else if (method.methodKind === "server_streaming")
      handlers[method.localName] = async function* (request: Message, ctx: HandlerContext) {
        note(rpc, request, ctx);
        yield answer;
      };
    else
      handlers[method.localName] = async function* (
        requests: AsyncIterable<Message>,
        ctx: HandlerContext,
      ) {
        for await (const request of requests) {
          note(rpc, request, ctx);
          yield answer;
        }
      };
  }
  for (const one of own) if (one.service === desc) Object.assign(handlers, one.implementation);
  // Each handler was made for the method of its name.
  const implementation = handlers as Partial<ServiceImpl<typeof desc>>;
  return service({
    name: desc.typeName.split(".")[1] ?? "",
    settings: {},
    start: async () => ({ routes: [route(desc, implementation)] }),
  });
}

function turns(reached: Reached[], cancelled: string[]) {
  const numbers = new Map<string, number>();
  return {
    async *processTurn(request: ProcessTurnRequest, ctx: HandlerContext) {
      reached.push({ rpc: "AlignmentService/ProcessTurn", request, identity: identityOf(ctx) });
      const { text } = request;
      const kind = /^fail:(.+)$/.exec(text)?.[1] as FaultKind | undefined; // tests name kinds
      if (kind)
        throw new Fault(kind, `failed as told: ${kind}`, {
          reason: "TOLD_TO_FAIL",
          ...((kind === "unavailable" || kind === "exhausted") && { retryAfterMs: 1_500 }),
        });
      const sessionId = request.sessionId || newId();
      const number = (numbers.get(sessionId) ?? 0) + 1;
      numbers.set(sessionId, number);
      const turnId = newId();
      yield { event: { case: "started", value: { sessionId, turnId, turnNumber: number } } };
      if (text === "slow") {
        await new Promise((resolve) =>
          ctx.signal.addEventListener("abort", resolve, { once: true }),
        );
        cancelled.push(turnId);
        throw ctx.signal.reason;
      }
      const isSilent = request.opening && request.agent === "mute";
      const replyText = isSilent ? "" : request.opening ? "Welcome!" : `You said: ${text}`;
      for (const [index, word] of replyText.split(/(?<= )/).entries()) {
        if (text === "break" && index > 0)
          throw new Fault("unavailable", "the model is gone", { reason: "MODEL_UNAVAILABLE" });
        if (word !== "") yield { event: { case: "delta", value: { text: word } } };
      }
      const turn = {
        id: turnId,
        sessionId,
        number,
        userText: text,
        replyText,
        ...(isSilent
          ? { outcome: TurnOutcome.SILENT }
          : {
              outcome: TurnOutcome.COMPLETED,
              replySource: ReplySource.TEMPLATE,
              rules: ["greet"],
            }),
      };
      yield { event: { case: "completed", value: { turn, replayed: false } } };
    },
  } satisfies Partial<ServiceImpl<typeof AlignmentService>>;
}

export const missingId = "00000000-0000-7000-8000-000000000000";

function sessions(reached: Reached[]) {
  return {
    getSession({ sessionId, ...request }, ctx) {
      const identity = identityOf(ctx);
      reached.push({ rpc: "SessionService/GetSession", request: { ...request }, identity });
      if (sessionId === missingId)
        throw new Fault("not-found", `there is no session ${sessionId}`, {
          reason: "SESSION_NOT_FOUND",
        });
      return { session: { id: sessionId, meta: { tenantId: identity.tenantId }, version: 3n } };
    },
  } satisfies Partial<ServiceImpl<typeof SessionService>>;
}

export interface TokenParts {
  readonly tenant?: unknown;
  readonly subject?: string;
  readonly roles?: unknown;
  readonly issuer?: string;
  readonly audience?: string;
  readonly secret?: string;
  readonly algorithm?: string;
  /** Seconds from `at` to the token's end. */
  readonly lifeSeconds?: number;
  readonly at?: Date;
  readonly notBefore?: Date;
}

/** What test.toml has. */
export const testSecret = "for tests only: everybody knows this one";

/** A token as the settings of tests want it, but for what is said otherwise. */
export function tokenFor(parts: TokenParts = {}): Promise<string> {
  const at = Math.floor((parts.at ?? new Date()).getTime() / 1_000);
  const token = new SignJWT({ tenant: parts.tenant ?? newId(), roles: parts.roles ?? ["chat"] })
    .setProtectedHeader({ alg: parts.algorithm ?? "HS256" })
    .setSubject(parts.subject ?? "ada")
    .setIssuer(parts.issuer ?? "soldier")
    .setAudience(parts.audience ?? "soldier")
    .setIssuedAt(at)
    .setExpirationTime(at + (parts.lifeSeconds ?? 600));
  if (parts.notBefore) token.setNotBefore(parts.notBefore);
  return token.sign(new TextEncoder().encode(parts.secret ?? testSecret));
}

export interface Sent {
  /** Of a user with the role "chat" unless given. */
  readonly token?: string;
  /** As JSON; a text is sent as it is. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** A request to the gateway with a token. */
export async function send(
  { url }: Gateway,
  verb: string,
  path: string,
  { token, body, headers, signal }: Sent = {},
): Promise<Response> {
  return fetch(url + path, {
    method: verb,
    ...(signal && { signal }),
    headers: {
      authorization: `Bearer ${token ?? (await tokenFor())}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

/** Limits that no test meets by accident. */
export const unlimited = { limits: { requests_per_second: 10_000, burst: 10_000 } };
