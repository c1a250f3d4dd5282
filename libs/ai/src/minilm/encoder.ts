import { type Kernel, openKernel, type Place } from "./kernel.ts";
import { openSafetensors, type Safetensors } from "./safetensors.ts";

// Of all-MiniLM-L6-v2. The kernel knows the width of a head, 32.
const [width, heads, inner, layers] = [384, 12, 1536, 6];
/** Of all texts of one pass over the weights. */
const tokensMax = 256;

/** Vectors of length 1, one for each text, given as the numbers of its pieces: 1 to 256. */
export type Encoder = (texts: readonly (readonly number[])[]) => readonly Float32Array[];

/** One matrix with its bias, as 16-bit whole numbers with a scale for each row. */
interface Linear {
  readonly weights: Place;
  readonly scales: Place;
  readonly bias: Place;
  readonly inner: number;
  readonly outer: number;
}
interface Norm {
  readonly weight: Place;
  readonly bias: Place;
}
interface Layer {
  readonly qkv: Linear;
  readonly attended: Linear;
  readonly attendedNorm: Norm;
  readonly widened: Linear;
  readonly narrowed: Linear;
  readonly narrowedNorm: Norm;
}
/** A text's tokens within a pass. */
interface Span {
  readonly start: number;
  readonly length: number;
}

/**
 * MiniLM's encoder with the weights of the file at `path`. They are rounded to 12 bits, and so is what is
 * multiplied with them, since a processor does twice as many 16-bit multiplications as 32-bit ones; the rest
 * is in 32-bit floats. Texts share a pass without padding, and a text's vector is the same to the bit whatever
 * else is in the pass.
 */
export function openEncoder(path: string): Encoder {
  using weights = openSafetensors(path);
  const kernel = openKernel();
  const words = weights.floats("embeddings.word_embeddings.weight");
  const positions = positionsOf(weights, kernel);
  const embedded = norm(weights, kernel, "embeddings.LayerNorm");
  const unrounded = kernel.room(4 * width * inner);
  const stack = Array.from({ length: layers }, (_, i) => layer(weights, kernel, unrounded, i));

  const room = (numbers: number) => kernel.room(4 * tokensMax * numbers);
  const [x, y, context] = [room(width), room(width), room(width)];
  const [qkv, wide] = [room(3 * width), room(inner)];
  const [rounded, scales, scores] = [room(inner / 2), room(1), room(1)];

  function multiply(from: Place, rows: number, by: Linear, to: Place): void {
    kernel.round16(from, rows, by.inner, rounded, scales);
    const { weights: w, scales: wScales, bias, outer } = by;
    kernel.multiply(rounded, scales, rows, by.inner, w, wScales, bias, outer, to);
  }

  function embed(tokens: readonly number[], { start, length }: Span): void {
    const at = x + 4 * width * start;
    const rows = kernel.floats(at, width * length);
    tokens.forEach((token, i) =>
      rows.set(words.subarray(width * token, width * (token + 1)), width * i),
    );
    kernel.addNormalised(at, positions, length, width, embedded.weight, embedded.bias);
  }

  function pass(texts: readonly (readonly number[])[]): readonly Float32Array[] {
    let rows = 0;
    const spans = texts.map(({ length }): Span => ({ start: (rows += length) - length, length }));
    spans.forEach((span, i) => embed(texts[i] ?? [], span));
    for (const each of stack) {
      multiply(x, rows, each.qkv, qkv);
      for (const { start, length } of spans)
        kernel.attend(
          qkv + 4 * 3 * width * start,
          length,
          heads,
          scores,
          context + 4 * width * start,
        );
      multiply(context, rows, each.attended, y);
      kernel.addNormalised(x, y, rows, width, each.attendedNorm.weight, each.attendedNorm.bias);
      multiply(x, rows, each.widened, wide);
      kernel.gelu(wide, rows * inner);
      multiply(wide, rows, each.narrowed, y);
      kernel.addNormalised(x, y, rows, width, each.narrowedNorm.weight, each.narrowedNorm.bias);
    }
    return spans.map(({ start, length }) =>
      mean(kernel.floats(x + 4 * width * start, width * length)),
    );
  }

  return (texts) => passesOf(texts).flatMap(pass);
}

function passesOf(
  texts: readonly (readonly number[])[],
): readonly (readonly (readonly number[])[])[] {
  const passes: (readonly number[])[][] = [];
  let tokens = Infinity;
  for (const text of texts) {
    tokens += text.length;
    if (tokens > tokensMax) {
      passes.push([]);
      tokens = text.length;
    }
    passes.at(-1)?.push(text);
  }
  return passes;
}

/** Of the rows, at length 1. */
function mean(rows: Float32Array): Float32Array {
  const sum = new Float32Array(width);
  rows.forEach((value, i) => {
    sum[i % width] = (sum[i % width] ?? 0) + value;
  });
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

/** What is added to each token for its place; the kind of text is always the first of the two. */
function positionsOf(weights: Safetensors, kernel: Kernel): Place {
  const positions = weights.floats("embeddings.position_embeddings.weight");
  const kinds = weights.floats("embeddings.token_type_embeddings.weight");
  const sums = Float32Array.from(
    positions.subarray(0, tokensMax * width),
    (value, i) => value + (kinds[i % width] ?? 0),
  );
  return put(kernel, sums);
}

function layer(weights: Safetensors, kernel: Kernel, unrounded: Place, index: number): Layer {
  const name = (part: string) => `encoder.layer.${index}.${part}`;
  const of = (...parts: string[]) => linear(weights, kernel, unrounded, parts.map(name));
  return {
    qkv: of("attention.self.query", "attention.self.key", "attention.self.value"),
    attended: of("attention.output.dense"),
    attendedNorm: norm(weights, kernel, name("attention.output.LayerNorm")),
    widened: of("intermediate.dense"),
    narrowed: of("output.dense"),
    narrowedNorm: norm(weights, kernel, name("output.LayerNorm")),
  };
}

function norm(weights: Safetensors, kernel: Kernel, name: string): Norm {
  return {
    weight: put(kernel, weights.floats(`${name}.weight`)),
    bias: put(kernel, weights.floats(`${name}.bias`)),
  };
}

/** One matrix of several that are multiplied with the same. `unrounded` has room for the largest. */
function linear(
  weights: Safetensors,
  kernel: Kernel,
  unrounded: Place,
  names: readonly string[],
): Linear {
  const matrices = names.map((name) => weights.floats(`${name}.weight`));
  const biases = names.map((name) => weights.floats(`${name}.bias`));
  const numbers = write(kernel, unrounded, matrices);
  const outer = biases.reduce((sum, { length }) => sum + length, 0);
  const columns = numbers / outer;
  const [rounded, scales] = [kernel.room(2 * numbers), kernel.room(4 * outer)];
  kernel.round16(unrounded, outer, columns, rounded, scales);
  const bias = kernel.room(4 * outer);
  write(kernel, bias, biases);
  return { weights: rounded, scales, bias, inner: columns, outer };
}

function put(kernel: Kernel, numbers: ArrayLike<number>): Place {
  const at = kernel.room(4 * numbers.length);
  write(kernel, at, [numbers]);
  return at;
}

/** One after the other; returns how many numbers. */
function write(kernel: Kernel, at: Place, all: readonly ArrayLike<number>[]): number {
  const count = all.reduce((sum, { length }) => sum + length, 0);
  const room = kernel.floats(at, count);
  let next = 0;
  for (const each of all) {
    room.set(each, next);
    next += each.length;
  }
  return count;
}
