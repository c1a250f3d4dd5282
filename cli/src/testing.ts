import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ServiceImpl } from "@connectrpc/connect";
import { route, service } from "@soldier/chassis/service";
import { runForTest, testIdentity } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { ChatService, type SendMessageRequest } from "@soldier/proto/chat/v1/chat_service";
import {
  type AgentDocument,
  type ApplyAgentRequest,
  ChangeKind,
  ConfigService,
} from "@soldier/proto/config/v1/config_service";
import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import { onTestFinished } from "vitest";

/** A folder with these files, gone when the test is over. */
export function folderWith(files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), "soldier-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

/** A public API for the commands to ask; it takes one token. */
export interface FakeApi {
  readonly url: string;
  readonly token: string;
  /** What it was told so far. */
  readonly said: readonly SendMessageRequest[];
  readonly applied: readonly ApplyAgentRequest[];
}

/**
 * The chassis' edge with a conversation that answers "You said: <text>" word by word, and with an
 * agent whose draft lacks one rule. "quiet" is answered in no pieces, "break" breaks off after a
 * word, "slow" never ends, "closed" is refused. An opening is answered "Welcome!", but by the agent
 * "mute". Gone when the test is over.
 */
export async function openFakeApi(exported?: AgentDocument): Promise<FakeApi> {
  const token = newId();
  const said: SendMessageRequest[] = [];
  const applied: ApplyAgentRequest[] = [];
  const gateway = service({
    name: "chat-gateway",
    edge: true,
    settings: {},
    start: async () => ({
      routes: [
        route(ChatService, conversations(said)),
        route(ConfigService, drafts(applied, exported)),
      ],
      async authenticate(headers) {
        if (headers.get("authorization") === `Bearer ${token}`) return testIdentity();
        throw new Fault("unauthenticated", "the token is not valid", { reason: "TOKEN_INVALID" });
      },
    }),
  });
  const mesh = await runForTest([gateway]);
  onTestFinished(() => mesh[Symbol.asyncDispose]());
  return { url: mesh.url ?? "", token, said, applied };
}

function conversations(said: SendMessageRequest[]) {
  return {
    async *sendMessageStream({ message }, ctx) {
      if (!message) throw new Error("the contract asks for a message");
      said.push(message);
      const sessionId = message.sessionId || newId();
      const turn = { sessionId, turnId: newId(), turnNumber: said.length };
      const { message: text } = message;
      if (text === "closed")
        throw new Fault("precondition", "the session is over", { reason: "SESSION_CLOSED" });
      yield { event: { case: "started", value: turn } };
      const reply = message.opening ? welcome(message.agent) : `You said: ${text}`;
      for (const [index, word] of reply.split(/(?<= )/).entries()) {
        if (text === "break" && index > 0)
          throw new Fault("unavailable", "the model is gone", { reason: "MODEL_UNAVAILABLE" });
        if (text !== "quiet" && word !== "")
          yield { event: { case: "delta", value: { text: word } } };
        if (text === "slow")
          await new Promise((_, reject) => {
            ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason), { once: true });
          });
      }
      const replySource = ReplySource.TEMPLATE;
      const position = { scenarioId: newId(), stepId: "ask-order" };
      const completed =
        reply === ""
          ? { ...turn, outcome: TurnOutcome.SILENT }
          : { ...turn, reply, replySource, rules: ["greeting"], position };
      yield { event: { case: "completed", value: completed } };
    },
  } satisfies Partial<ServiceImpl<typeof ChatService>>;
}

function welcome(agent: string): string {
  return agent === "mute" ? "" : "Welcome!";
}

function drafts(applied: ApplyAgentRequest[], exported: AgentDocument | undefined) {
  return {
    applyAgent(request) {
      applied.push(request);
      const { slug = "" } = request.document?.agent ?? {};
      // Two calls' worth of texts, before the third one is through.
      if (slug === "large" && applied.length < 3)
        throw new Fault("deadline", "not published", {
          reason: "EMBEDDING_UNFINISHED",
          metadata: { texts_embedded: String(applied.length * 100), texts: "250" },
        });
      const bad = request.document?.rules.filter(({ guard }) => guard.endsWith("(")) ?? [];
      if (bad.length > 0)
        throw new Fault("invalid", "the draft may not be published", {
          reason: "DRAFT_INVALID",
          fields: [
            ...bad.map(({ name }) => ({
              field: `rules/${name}.guard`,
              description: "is no expression",
            })),
            { field: "agent.settings.generation.model", description: "is not there" },
          ],
        });
      return {
        agentId: newId(),
        changes: [
          { kind: ChangeKind.CREATED, collection: "rules", name: "greet" },
          { kind: ChangeKind.UPDATED, collection: "rules", name: "bye", fields: ["guard", "tags"] },
          { kind: ChangeKind.DELETED, collection: "templates", name: "old" },
        ],
        version: request.publish ? 4n : 0n,
      };
    },
    exportAgent({ agentId }) {
      if (exported?.agent?.slug === agentId) return { document: exported };
      throw new Fault("not-found", `there is no agent ${agentId}`, { reason: "AGENT_NOT_FOUND" });
    },
  } satisfies Partial<ServiceImpl<typeof ConfigService>>;
}
