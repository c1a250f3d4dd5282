import { endianness } from "node:os";

const littleEndian = endianness() === "LE";

/** A vector as stored: little-endian float32, one after the other. */
export function vectorBytes(vector: Float32Array): Buffer {
  if (littleEndian) return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  const bytes = Buffer.alloc(vector.byteLength);
  vector.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes;
}

/** The vector in stored bytes, as a copy of its own. */
export function vectorOf(bytes: Buffer): Float32Array {
  if (littleEndian) return new Float32Array(new Uint8Array(bytes).buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}
