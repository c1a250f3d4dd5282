import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { checkedMessage, withChecksum } from "@soldier/kernel/checksum";
import { Fault } from "@soldier/kernel/fault";

/** Where a message is kept. */
export interface Kept {
  /** With its schema, e.g. "session.turns". */
  readonly table: string;
  /** What tells its row from others: the id of it, or of what it belongs to. */
  readonly id: string;
}

/** The message as it is kept in a row, so that one that was cut off or changed is none any more. */
export function messageToKeep<M extends DescMessage>(
  schema: M,
  message: MessageShape<M>,
): Uint8Array {
  return withChecksum(toBinary(schema, message));
}

/**
 * The message in a row. Fields and numbers of enums that a newer release knows are kept as they are. Throws
 * the Fault "data-loss", which names the row and says what to do, for bytes that are no such message.
 */
export function storedMessage<M extends DescMessage>(
  schema: M,
  bytes: Uint8Array,
  kept: Kept,
): MessageShape<M> {
  try {
    // Kept messages have their checksum; those of an earlier release, which have none, say something.
    if (bytes.byteLength === 0) throw new Error("nothing is left of it");
    return fromBinary(schema, checkedMessage(bytes));
  } catch (error) {
    throw rowDamaged(kept, `is no ${schema.typeName}`, error);
  }
}

export function rowDamaged({ table, id }: Kept, how: string, cause: unknown): Fault {
  return new Fault(
    "data-loss",
    `what is stored in ${table} for ${id} ${how}: restore that row from a backup, or remove what it belongs to`,
    { cause, reason: "ROW_DAMAGED", metadata: { table, id } },
  );
}
