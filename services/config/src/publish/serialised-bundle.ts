import { createHash } from "node:crypto";
import { type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Bundle, BundleSchema } from "@soldier/proto/config/v1/bundle";
import type { StreamBundleResponseSchema } from "@soldier/proto/config/v1/config_service";

/** A bundle in protobuf's binary form, read a piece at a time. */
export interface SerialisedBundle {
  readonly sizeBytes: number;
  /** At most `pieceBytes` each, in order. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** So many bytes of a bundle are held and sent at once. */
export const pieceBytes = 524_288;

export function bytesOf(bundle: Bundle): SerialisedBundle {
  const bytes = toBinary(BundleSchema, bundle);
  async function* pieces() {
    for (let from = 0; from < bytes.byteLength; from += pieceBytes)
      yield bytes.subarray(from, from + pieceBytes);
  }
  return { sizeBytes: bytes.byteLength, pieces: pieces() };
}

/** What follows a bundle's head. */
export async function* bundleParts({
  pieces,
}: SerialisedBundle): AsyncIterable<MessageInitShape<typeof StreamBundleResponseSchema>> {
  const hash = createHash("sha256");
  for await (const piece of pieces) {
    hash.update(piece);
    yield { part: { case: "piece", value: piece } };
  }
  yield { part: { case: "end", value: { sha256: hash.digest() } } };
}
