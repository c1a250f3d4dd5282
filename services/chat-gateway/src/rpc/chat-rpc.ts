import { create } from "@bufbuild/protobuf";
import type { Client, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { identityOf } from "@soldier/chassis/identity";
import { Fault } from "@soldier/kernel/fault";
import type {
  AlignmentService,
  ProcessTurnResponse,
} from "@soldier/proto/alignment/v1/alignment_service";
import {
  type ChatService,
  type SendMessageRequest,
  SendMessageRequestSchema,
  type SendMessageResponse,
  type SendMessageStreamResponse,
} from "@soldier/proto/chat/v1/chat_service";
import type { TakeRequest } from "../admission/rate-limit.ts";
import type { TurnSlots } from "../admission/turn-slots.ts";
import { replyOf, turnRequest } from "./turn-messages.ts";

export interface ChatParts {
  readonly alignment: Client<typeof AlignmentService>;
  readonly slots: TurnSlots;
  readonly takeRequest: TakeRequest;
  readonly messageSizeMaxBytes: number;
  /** Longest that one turn may take. */
  readonly deadlineMs: number;
}

type TurnEvent = SendMessageStreamResponse["event"];

/** Conversations: each message is a turn of the alignment service. */
export function chatRpc(parts: ChatParts) {
  async function* turn(message: SendMessageRequest, ctx: HandlerContext) {
    const identity = identityOf(ctx);
    const key = idempotencyKey(message, ctx.requestHeader);
    const request = turnRequest(message, key, identity, parts.messageSizeMaxBytes);
    using _slot = parts.slots.take(identity.tenantId);
    const options = { signal: ctx.signal, timeoutMs: parts.deadlineMs };
    for await (const event of parts.alignment.processTurn(request, options)) {
      const told = turnEvent(event);
      if (told.case !== undefined) yield told;
    }
  }

  return {
    async sendMessage(message, ctx) {
      let answer: SendMessageResponse | undefined;
      // To its end: a stream that is left is a cancelled call.
      for await (const event of turn(message, ctx))
        if (event.case === "completed") answer = event.value;
      if (answer) return answer;
      throw new Fault("internal", "the turn ended without an answer");
    },

    async *sendMessageStream({ message }, ctx) {
      for await (const event of turn(needed(message), ctx)) yield { event };
    },

    async *converse(requests, ctx) {
      let first: SendMessageRequest | undefined;
      let sessionId = "";
      for await (const { message } of requests) {
        const next = needed(message);
        // The first message was counted when the call was admitted.
        if (first) parts.takeRequest(identityOf(ctx).tenantId);
        else ({ sessionId } = next);
        first ??= next;
        const { agent, channel, customer, metadata } = first;
        const said = { ...next, agent, channel, customer, metadata, sessionId };
        for await (const event of turn(create(SendMessageRequestSchema, said), ctx)) {
          if (event.case === "started") ({ sessionId } = event.value);
          yield { event };
        }
      }
    },
  } satisfies ServiceImpl<typeof ChatService>;
}

function turnEvent({ event }: ProcessTurnResponse): TurnEvent {
  switch (event.case) {
    case "started":
    case "delta": {
      const { $typeName: _, ...value } = event.value;
      return { case: event.case, value } as TurnEvent; // the two contracts name the same fields
    }
    case "completed":
      return { case: "completed", value: replyOf(event.value) };
    case undefined:
      return { case: undefined };
  }
}

function needed(message: SendMessageRequest | undefined): SendMessageRequest {
  // The contract asks for it, so that only a broken chassis lets this through.
  if (!message) throw new Fault("invalid", "message: is needed");
  return message;
}

/** The message's own key, or the one of the header that HTTP clients know. */
function idempotencyKey(message: SendMessageRequest, headers: Headers): string {
  const inHeader = headers.get("idempotency-key") ?? "";
  if (message.idempotencyKey === "") return inHeader;
  if (inHeader === "" || inHeader === message.idempotencyKey) return message.idempotencyKey;
  const description = "is another one than in the header Idempotency-Key";
  throw new Fault("invalid", `idempotency_key: ${description}`, {
    fields: [{ field: "idempotency_key", description }],
  });
}
