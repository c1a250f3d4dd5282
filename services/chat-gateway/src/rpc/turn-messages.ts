import { create } from "@bufbuild/protobuf";
import type { Identity } from "@soldier/chassis/identity";
import { currentTraceId } from "@soldier/chassis/tracing";
import { Fault } from "@soldier/kernel/fault";
import {
  type ProcessTurnRequest,
  ProcessTurnRequestSchema,
  type TurnCompleted,
} from "@soldier/proto/alignment/v1/alignment_service";
import {
  type SendMessageRequest,
  type SendMessageResponse,
  SendMessageResponseSchema,
} from "@soldier/proto/chat/v1/chat_service";
import { Channel } from "@soldier/proto/common/v1/resource";

const keyLengthMax = 200;

/** What the alignment service is asked for a customer's message. Throws "invalid" or "forbidden". */
export function turnRequest(
  message: SendMessageRequest,
  idempotencyKey: string,
  identity: Identity,
  sizeMaxBytes: number,
): ProcessTurnRequest {
  const { agent, sessionId, channel, metadata, opening } = message;
  if (opening) requireNoText(message.message);
  else requireText(message.message, sizeMaxBytes);
  if (agent === "" && sessionId === "")
    throw invalid(
      "agent",
      "is needed to open a session; or give a session_id to go on with",
      "SESSION_OR_AGENT_NEEDED",
    );
  // A field of the message is held to this by the contract, a header by nobody else.
  if (idempotencyKey.length > keyLengthMax)
    throw invalid("idempotency_key", `must have at most ${keyLengthMax} characters`);
  for (const [field, text] of Object.entries({ idempotencyKey, customer: message.customer }))
    if (text.includes("\0")) throw invalid(field, "must not hold a zero character");
  for (const [key, value] of Object.entries(metadata))
    if ((key + value).includes("\0")) throw invalid("metadata", "must not hold a zero character");
  return create(ProcessTurnRequestSchema, {
    agent,
    sessionId,
    customer: { externalId: customerOf(message, identity) },
    channel: channel === Channel.UNSPECIFIED ? Channel.API : channel,
    text: message.message,
    opening,
    idempotencyKey,
    metadata,
  });
}

/** The committed turn, as a frontend reads it. */
export function replyOf({ turn, replayed, position }: TurnCompleted): SendMessageResponse {
  if (!turn) throw new Fault("internal", "the turn was completed without a turn");
  return create(SendMessageResponseSchema, {
    sessionId: turn.sessionId,
    turnId: turn.id,
    turnNumber: turn.number,
    reply: turn.replyText,
    outcome: turn.outcome,
    replySource: turn.replySource,
    rules: turn.rules,
    // A replayed turn is followed by the trace that it was made in.
    traceId: turn.traceId === "" ? (currentTraceId() ?? "") : turn.traceId,
    replayed,
    ...(position && { position }),
  });
}

/** The token's subject, unless the caller may speak for others. */
function customerOf({ customer }: SendMessageRequest, identity: Identity): string {
  if (customer === "" || customer === identity.subject) return identity.subject;
  if (identity.roles.includes("delegate")) return customer;
  throw new Fault("forbidden", 'writing for another customer needs the role "delegate"', {
    reason: "ROLE_MISSING",
    metadata: { role: "delegate" },
  });
}

/** Nobody has written anything when the agent is to speak first. */
function requireNoText(text: string): void {
  if (text !== "") throw invalid("message", "must be empty in an opening", "OPENING_WITH_MESSAGE");
}

function requireText(text: string, sizeMaxBytes: number): void {
  if (text.trim() === "")
    throw new Fault("invalid", "the message is empty", {
      reason: "MESSAGE_EMPTY",
      fields: [{ field: "message", description: "must not be empty, except in an opening" }],
    });
  // A character is at most three bytes, so most messages need not be measured.
  const sizeBytes = text.length * 3 <= sizeMaxBytes ? 0 : Buffer.byteLength(text);
  if (sizeBytes > sizeMaxBytes)
    throw new Fault("invalid", `the message has ${sizeBytes} bytes; ${sizeMaxBytes} may be sent`, {
      reason: "MESSAGE_TOO_LARGE",
      fields: [{ field: "message", description: `must have at most ${sizeMaxBytes} bytes` }],
      metadata: { size_max_bytes: String(sizeMaxBytes) },
    });
  if (text.includes("\0")) throw invalid("message", "must not hold a zero character");
}

function invalid(field: string, description: string, reason = "VALIDATION_FAILED"): Fault {
  return new Fault("invalid", `${field}: ${description}`, {
    reason,
    fields: [{ field, description }],
  });
}
