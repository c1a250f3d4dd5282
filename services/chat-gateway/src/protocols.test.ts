import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { faultOf } from "@soldier/chassis/faults";
import { newId } from "@soldier/kernel/ids";
import type { ProcessTurnRequest } from "@soldier/proto/alignment/v1/alignment_service";
import { ChatService } from "@soldier/proto/chat/v1/chat_service";
import { TurnOutcome } from "@soldier/proto/session/v1/session";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, openGateway, tokenFor, unlimited } from "./testing.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway({ settings: unlimited });
});
afterAll(() => gateway[Symbol.asyncDispose]());

function lastTurn(): ProcessTurnRequest {
  const turn = gateway.reached.findLast(({ rpc }) => rpc === "AlignmentService/ProcessTurn");
  return turn?.request as ProcessTurnRequest;
}

describe.each([
  ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
])("%s", (name, transportTo) => {
  const client = () => createClient(ChatService, transportTo(gateway.url));
  const withToken = async (headers: Record<string, string> = {}) => ({
    headers: { authorization: `Bearer ${await tokenFor()}`, ...headers },
  });
  const failure = (call: Promise<unknown>) =>
    call.then(() => expect.fail("should have failed"), faultOf);

  it("answers a message", async () => {
    let traceId: string | null = null;
    const reply = await client().sendMessage(
      { agent: "shop", message: "hi" },
      { ...(await withToken()), onHeader: (headers) => (traceId = headers.get("trace-id")) },
    );
    expect([reply.reply, reply.traceId]).toEqual(["You said: hi", traceId]);
  });

  it("lets the agent speak first", async () => {
    const opening = { agent: "shop", opening: true };
    expect((await client().sendMessage(opening, await withToken())).reply).toBe("Welcome!");
    const silent = await client().sendMessage({ ...opening, agent: "mute" }, await withToken());
    expect([silent.reply, silent.outcome]).toEqual(["", TurnOutcome.SILENT]);
  });

  it("streams a message", async () => {
    const seen: (string | undefined)[] = [];
    const message = { agent: "shop", message: "hi" };
    for await (const { event } of client().sendMessageStream({ message }, await withToken()))
      seen.push(event.case);
    expect(seen).toEqual(["started", "delta", "delta", "delta", "completed"]);
  });

  it.runIf(name === "gRPC")("holds a conversation on one stream", async () => {
    async function* said() {
      yield { message: { agent: "shop", message: "one" } };
      yield { message: { message: "two" } };
    }
    const replies: [string, number][] = [];
    const sessions = new Set<string>();
    for await (const { event } of client().converse(said(), await withToken()))
      if (event.case === "completed") {
        replies.push([event.value.reply, event.value.turnNumber]);
        sessions.add(event.value.sessionId);
      }
    expect(replies).toEqual([
      ["You said: one", 1],
      ["You said: two", 2],
    ]);
    expect(sessions.size).toBe(1);
  });

  it("takes the idempotency key of the header", async () => {
    const options = await withToken({ "idempotency-key": "key-9" });
    await client().sendMessage({ agent: "shop", message: "hi" }, options);
    expect(lastTurn().idempotencyKey).toBe("key-9");
  });

  it("gives reasons for refusals", async () => {
    const call = client();
    const options = await withToken();
    const empty = await failure(call.sendMessage({ agent: "shop" }, options));
    expect([empty.kind, empty.reason]).toEqual(["invalid", "MESSAGE_EMPTY"]);
    const large = { agent: "shop", message: "x".repeat(32_769) };
    expect((await failure(call.sendMessage(large, options))).reason).toBe("MESSAGE_TOO_LARGE");
    const missing = await failure(call.sendMessage({ agent: "shop", message: "hi" }));
    expect([missing.kind, missing.reason]).toEqual(["unauthenticated", "TOKEN_MISSING"]);
    const failed = await failure(
      call.sendMessage({ agent: "shop", message: "fail:unavailable" }, options),
    );
    expect([failed.reason, failed.retryAfterMs]).toEqual(["TOLD_TO_FAIL", 1_500]);
  });

  it("offers what other services own, but not the mesh's own methods", async () => {
    const sessions = createClient(SessionService, transportTo(gateway.url));
    const sessionId = newId();
    const { session } = await sessions.getSession({ sessionId }, await withToken());
    expect([session?.id, session?.version]).toEqual([sessionId, 3n]);
    const inside = sessions.abortTurn({ lease: { sessionId } }, await withToken());
    expect((await failure(inside)).kind).toBe("unimplemented");
  });
});
