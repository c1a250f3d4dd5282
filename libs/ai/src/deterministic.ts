import { throwIfCancelled } from "./cancelled.ts";
import type { Embedder } from "./embedder.ts";

/**
 * Vectors out of letters alone, for tests and for measuring everything but the model: each word and
 * each run of three letters is hashed to a direction. Texts that share words or parts of words are
 * similar; synonyms are not. Microseconds per text, the same on every machine and in every version.
 */
export function deterministicEmbedder(dimensions = 384): Embedder {
  return {
    model: `deterministic:hashed-v1:${dimensions}`,
    dimensions,
    async embed(texts, signal) {
      throwIfCancelled(signal);
      return texts.map((text) => embed(text, dimensions));
    },
  };
}

const wordWeight = 1;
const trigramWeight = 0.4;
/** More of a text than this says nothing new about it. */
const charactersMax = 4096;

function embed(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const words = text
    .slice(0, charactersMax)
    .normalize("NFKC")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu);
  for (const word of words ?? []) {
    add(vector, `w:${word}`, wordWeight);
    const padded = `^${word}$`;
    for (let i = 0; i + 3 <= padded.length; i++)
      add(vector, `t:${padded.slice(i, i + 3)}`, trigramWeight);
  }
  const length = Math.hypot(...vector);
  if (length > 0) return vector.map((x) => x / length);
  // A text without words, or one whose parts cancel each other out, has a direction of its own.
  add(vector, `e:${words === null ? "" : text}`, 1);
  return vector.map(Math.sign);
}

/** Adds the feature's direction: one axis, either way. */
function add(vector: Float32Array, feature: string, weight: number): void {
  const hash = fnv1a(feature);
  const axis = (hash >>> 1) % vector.length;
  vector[axis] = (vector[axis] ?? 0) + (hash & 1 ? weight : -weight);
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  // The low bits of this hash are weak, and they choose the sign and the axis.
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}
