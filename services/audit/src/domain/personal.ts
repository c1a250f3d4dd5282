import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { checkedMessage } from "@soldier/kernel/checksum";
import {
  ReplyRecordSchema,
  type TurnRecord,
  TurnRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";

/** A record in two: what a customer or about a customer was said, and all the rest. */
export interface Parted {
  readonly rest: TurnRecord;
  /** A TurnRecord with the personal fields only, in protobuf's binary form. */
  readonly personal: Uint8Array;
}

/** Takes what is personal out of a record: texts, what was understood, tool calls, words of checks. */
export function parted(record: TurnRecord): Parted {
  const { context, reply, ...others } = record;
  const personal = create(TurnRecordSchema, {
    userText: record.userText,
    replyText: record.replyText,
    toolCalls: record.toolCalls,
    ...(context && { context }),
    ...(reply && { reply: create(ReplyRecordSchema, { checks: reply.checks }) }),
  });
  const rest = {
    ...others,
    userText: "",
    replyText: "",
    toolCalls: [],
    ...(reply && { reply: { ...reply, checks: [] } }),
  };
  return { rest, personal: toBinary(TurnRecordSchema, personal) };
}

/**
 * The record as it was: in protobuf, two encodings one after the other are the encoding of their
 * merge, and no field is in both but the reply, whose parts don't overlap.
 */
export function joined(rest: Uint8Array, personal: Uint8Array): TurnRecord {
  return fromBinary(TurnRecordSchema, Buffer.concat([checkedMessage(rest), personal]));
}
