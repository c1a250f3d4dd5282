import { crc32 } from "node:zlib";

/**
 * A protobuf message that was cut between two fields still reads as one. So what is kept begins with a field
 * that no message has, which says how many bytes follow and what their CRC-32 is: readers that don't know it
 * skip it, as they skip every field of a newer release.
 */
const tag = Uint8Array.of(0xf9, 0xff, 0xff, 0xff, 0x0f); // field 536870911, the last there can be; 8 bytes
const headBytes = tag.length + 8;

/** The message behind its length and checksum. */
export function withChecksum(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headBytes + message.byteLength);
  bytes.set(tag);
  const view = new DataView(bytes.buffer, tag.length);
  view.setUint32(0, message.byteLength, true);
  view.setUint32(4, crc32(message), true);
  bytes.set(message, headBytes);
  return bytes;
}

/**
 * The message without its length and checksum; several, one after the other, are their merge. What was kept
 * without them, by an earlier release, is as it is. Throws an Error for bytes that were cut off or changed.
 */
export function checkedMessage(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let rest = bytes;
  while (begins(rest)) {
    const view = new DataView(rest.buffer, rest.byteOffset, rest.byteLength);
    if (rest.byteLength < headBytes) throw new Error("its checksum is cut off");
    const size = view.getUint32(tag.length, true);
    const message = rest.subarray(headBytes, headBytes + size);
    if (message.byteLength < size)
      throw new Error(`only ${message.byteLength} of ${size} bytes are left`);
    if (crc32(message) !== view.getUint32(tag.length + 4, true))
      throw new Error("its bytes are not those that were written");
    parts.push(message);
    rest = rest.subarray(headBytes + size);
  }
  if (parts.length === 0) return bytes;
  if (rest.byteLength > 0) parts.push(rest);
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts);
}

function begins(bytes: Uint8Array): boolean {
  return (
    bytes.byteLength > 0 && tag.every((byte, at) => at >= bytes.byteLength || bytes[at] === byte)
  );
}
