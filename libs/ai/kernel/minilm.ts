// What MiniLM is computed with, for WebAssembly's 128-bit registers. This is AssemblyScript, not TypeScript:
// `npm run gen:kernel` compiles it to minilm.wasm beside it, which is committed. Places are in bytes and
// multiples of 16; matrices are of 32-bit floats, row after row, unless said otherwise. Nothing is checked:
// src/minilm is the only caller and gives widths that are multiples of 8.

/**
 * What a row's largest number is rounded to. A lane sums a quarter of a row's products in 32 bits, 384 of
 * them in the widest row: 384 * 2047 * 2047 is three quarters of what fits.
 */
const steps: f32 = 2047;

/** [sum of a's lanes, b's, c's, d's] */
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 2, 6), v128.shuffle<f32>(a, b, 1, 5, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 2, 6), v128.shuffle<f32>(c, d, 1, 5, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

function sumOf(a: v128): f32 {
  return (
    f32x4.extract_lane(a, 0) +
    f32x4.extract_lane(a, 1) +
    (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
  );
}

/** Each row as 16-bit whole numbers, to be multiplied by the row's scale. */
export function round16(from: usize, rows: i32, width: i32, to: usize, scales: usize): void {
  const bytes = (<usize>width) << 2;
  for (let row = 0; row < rows; row++, from += bytes, to += bytes >> 1, scales += 4) {
    let most = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16)
      most = f32x4.max(most, f32x4.abs(v128.load(from + i)));
    const largest: f32 = max<f32>(
      max<f32>(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
      max<f32>(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
    );
    const by = f32x4.splat(largest > 0 ? steps / largest : 0);
    store<f32>(scales, largest / steps);
    for (let i: usize = 0; i < bytes; i += 32) {
      const low = f32x4.nearest(f32x4.mul(v128.load(from + i), by));
      const high = f32x4.nearest(f32x4.mul(v128.load(from + i, 16), by));
      v128.store(
        to + (i >> 1),
        i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high)),
      );
    }
  }
}

/**
 * Of each row of x its products with all rows of w, plus the bias: `rows` of x, `outer` of w, a multiple of 4, each of
 * `inner` 16-bit numbers with their scales. Rows of x go in pairs: of an odd number, one more is written.
 */
export function multiply(
  x: usize,
  xScales: usize,
  rows: i32,
  inner: i32,
  w: usize,
  wScales: usize,
  bias: usize,
  outer: i32,
  to: usize,
): void {
  const bytes = (<usize>inner) << 1;
  const toBytes = (<usize>outer) << 2;
  for (let o: usize = 0; o < toBytes; o += 16) {
    const w0 = w + (o >> 2) * bytes;
    const w1 = w0 + bytes;
    const w2 = w1 + bytes;
    const w3 = w2 + bytes;
    const scales = v128.load(wScales + o);
    const biases = v128.load(bias + o);
    for (let row: usize = 0; row < <usize>rows; row += 2) {
      const x0 = x + row * bytes;
      const x1 = x0 + bytes;
      let a0 = i32x4.splat(0);
      let a1 = i32x4.splat(0);
      let a2 = i32x4.splat(0);
      let a3 = i32x4.splat(0);
      let b0 = i32x4.splat(0);
      let b1 = i32x4.splat(0);
      let b2 = i32x4.splat(0);
      let b3 = i32x4.splat(0);
      for (let k: usize = 0; k < bytes; k += 16) {
        const p = v128.load(x0 + k);
        const q = v128.load(x1 + k);
        let v = v128.load(w0 + k);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(p, v));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v));
        v = v128.load(w1 + k);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(p, v));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v));
        v = v128.load(w2 + k);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(p, v));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(q, v));
        v = v128.load(w3 + k);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(p, v));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(q, v));
      }
      const at = to + row * toBytes + o;
      const first = sums(
        f32x4.convert_i32x4_s(a0),
        f32x4.convert_i32x4_s(a1),
        f32x4.convert_i32x4_s(a2),
        f32x4.convert_i32x4_s(a3),
      );
      const second = sums(
        f32x4.convert_i32x4_s(b0),
        f32x4.convert_i32x4_s(b1),
        f32x4.convert_i32x4_s(b2),
        f32x4.convert_i32x4_s(b3),
      );
      const s0 = f32x4.mul(scales, v128.load32_splat(xScales + (row << 2)));
      const s1 = f32x4.mul(scales, v128.load32_splat(xScales + (row << 2), 4));
      v128.store(at, f32x4.add(f32x4.mul(first, s0), biases));
      v128.store(at + toBytes, f32x4.add(f32x4.mul(second, s1), biases));
    }
  }
}

/** e to the power of each, to some 7 digits: by a power of two and a polynomial for the rest. */
function exp4(x: v128): v128 {
  x = f32x4.max(f32x4.min(x, f32x4.splat(88)), f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504088896341)));
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let y = f32x4.splat(1.98756915e-4);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.3981999507e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.3334519073e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.1665795894e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.6666665459e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(5.0000001201e-1));
  y = f32x4.add(f32x4.add(f32x4.mul(y, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(y, power);
}

/** x times the share of a normal distribution below x, in place; the error function to within 2e-7 (Abramowitz and Stegun 7.1.26). */
export function gelu(at: usize, count: i32): void {
  const one = f32x4.splat(1);
  for (const end = at + ((<usize>count) << 2); at < end; at += 16) {
    const x = v128.load(at);
    const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.70710678118654752));
    const t = f32x4.div(one, f32x4.add(one, f32x4.mul(z, f32x4.splat(0.3275911))));
    let y = f32x4.splat(1.061405429);
    y = f32x4.add(f32x4.mul(y, t), f32x4.splat(-1.453152027));
    y = f32x4.add(f32x4.mul(y, t), f32x4.splat(1.421413741));
    y = f32x4.add(f32x4.mul(y, t), f32x4.splat(-0.284496736));
    y = f32x4.add(f32x4.mul(y, t), f32x4.splat(0.254829592));
    y = f32x4.mul(f32x4.mul(y, t), exp4(f32x4.neg(f32x4.mul(z, z))));
    // 1 - y is the error function of |x|, which is odd.
    const erf = v128.or(f32x4.sub(one, y), v128.and(x, f32x4.splat(-0.0)));
    v128.store(at, f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), f32x4.add(one, erf)));
  }
}

/** x becomes x + y, each row then with mean 0 and deviation 1, times the weight, plus the bias. */
export function addNormalised(
  x: usize,
  y: usize,
  rows: i32,
  width: i32,
  weight: usize,
  bias: usize,
): void {
  const bytes = (<usize>width) << 2;
  const n = <f32>width;
  for (let row = 0; row < rows; row++, x += bytes, y += bytes) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = f32x4.add(v128.load(x + i), v128.load(y + i));
      v128.store(x + i, v);
      sum = f32x4.add(sum, v);
    }
    const mean = f32x4.splat(sumOf(sum) / n);
    let squares = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = f32x4.sub(v128.load(x + i), mean);
      squares = f32x4.add(squares, f32x4.mul(v, v));
    }
    const by = f32x4.splat(<f32>1 / sqrt<f32>(sumOf(squares) / n + 1e-12));
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = f32x4.mul(f32x4.sub(v128.load(x + i), mean), by);
      v128.store(x + i, f32x4.add(f32x4.mul(v, v128.load(weight + i)), v128.load(bias + i)));
    }
  }
}

/**
 * What each row of one text takes from all its rows: a row is its queries, its keys and its values, of 32
 * numbers for each head. `scores` has room for one number for each row, and three more.
 */
export function attend(qkv: usize, rows: i32, heads: i32, scores: usize, to: usize): void {
  const toRow = (<usize>heads) << 7;
  const row = toRow * 3;
  const length = <usize>rows;
  const ends = ((length + 3) & ~3) << 2;
  const scale = f32x4.splat(0.17677669529663687); // 1 / sqrt(32)
  for (let h: usize = 0; h < <usize>heads; h++) {
    const queries = qkv + (h << 7);
    const keys = queries + toRow;
    const values = keys + toRow;
    for (let i: usize = 0; i < length; i++) {
      const query = queries + i * row;
      const q0 = v128.load(query, 0),
        q1 = v128.load(query, 16),
        q2 = v128.load(query, 32),
        q3 = v128.load(query, 48);
      const q4 = v128.load(query, 64),
        q5 = v128.load(query, 80),
        q6 = v128.load(query, 96),
        q7 = v128.load(query, 112);
      let most: f32 = -Infinity;
      for (let j: usize = 0; j < length; j++) {
        const key = keys + j * row;
        let a = f32x4.mul(q0, v128.load(key, 0));
        let b = f32x4.mul(q1, v128.load(key, 16));
        a = f32x4.add(a, f32x4.mul(q2, v128.load(key, 32)));
        b = f32x4.add(b, f32x4.mul(q3, v128.load(key, 48)));
        a = f32x4.add(a, f32x4.mul(q4, v128.load(key, 64)));
        b = f32x4.add(b, f32x4.mul(q5, v128.load(key, 80)));
        a = f32x4.add(a, f32x4.mul(q6, v128.load(key, 96)));
        b = f32x4.add(b, f32x4.mul(q7, v128.load(key, 112)));
        const score = sumOf(f32x4.add(a, b));
        store<f32>(scores + (j << 2), score);
        most = max<f32>(most, score);
      }
      for (let j = length << 2; j < ends; j += 4) store<f32>(scores + j, -Infinity);
      const top = f32x4.splat(most);
      let total = f32x4.splat(0);
      for (let j: usize = 0; j < ends; j += 16) {
        const e = exp4(f32x4.mul(f32x4.sub(v128.load(scores + j), top), scale));
        v128.store(scores + j, e);
        total = f32x4.add(total, e);
      }
      const by = f32x4.splat(<f32>1 / sumOf(total));
      let c0 = f32x4.splat(0),
        c1 = f32x4.splat(0),
        c2 = f32x4.splat(0),
        c3 = f32x4.splat(0);
      let c4 = f32x4.splat(0),
        c5 = f32x4.splat(0),
        c6 = f32x4.splat(0),
        c7 = f32x4.splat(0);
      for (let j: usize = 0; j < length; j++) {
        const e = v128.load32_splat(scores + (j << 2));
        const value = values + j * row;
        c0 = f32x4.add(c0, f32x4.mul(e, v128.load(value, 0)));
        c1 = f32x4.add(c1, f32x4.mul(e, v128.load(value, 16)));
        c2 = f32x4.add(c2, f32x4.mul(e, v128.load(value, 32)));
        c3 = f32x4.add(c3, f32x4.mul(e, v128.load(value, 48)));
        c4 = f32x4.add(c4, f32x4.mul(e, v128.load(value, 64)));
        c5 = f32x4.add(c5, f32x4.mul(e, v128.load(value, 80)));
        c6 = f32x4.add(c6, f32x4.mul(e, v128.load(value, 96)));
        c7 = f32x4.add(c7, f32x4.mul(e, v128.load(value, 112)));
      }
      const at = to + i * toRow + (h << 7);
      v128.store(at, f32x4.mul(c0, by), 0);
      v128.store(at, f32x4.mul(c1, by), 16);
      v128.store(at, f32x4.mul(c2, by), 32);
      v128.store(at, f32x4.mul(c3, by), 48);
      v128.store(at, f32x4.mul(c4, by), 64);
      v128.store(at, f32x4.mul(c5, by), 80);
      v128.store(at, f32x4.mul(c6, by), 96);
      v128.store(at, f32x4.mul(c7, by), 112);
    }
  }
}
