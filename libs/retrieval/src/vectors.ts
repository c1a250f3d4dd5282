/** Exact nearest-neighbour search: one row per text, all rows in one array. */
export interface VectorIndex {
  readonly size: number;
  readonly dimensions: number;
  /**
   * The cosine of the query with each row, -1 to 1, in the order of the rows; 0 where either is the
   * zero vector. Throws when the query has other dimensions: it comes from another model.
   */
  similarities(query: Float32Array): Float32Array;
}

/** An index over copies of the vectors, each scaled to length 1. All must have the dimensions. */
export function vectorIndex(vectors: readonly Float32Array[], dimensions: number): VectorIndex {
  const rows = new Float32Array(vectors.length * dimensions);
  vectors.forEach((vector, row) => {
    checkDimensions(vector, dimensions, `vector ${row}`);
    rows.set(vector, row * dimensions);
    normalise(rows.subarray(row * dimensions, (row + 1) * dimensions));
  });
  return packedVectorIndex(rows, dimensions);
}

/**
 * An index over rows that already lie one after the other and have length 1 (or are zero), as a
 * bundle stores them. The array is kept, not copied.
 */
export function packedVectorIndex(rows: Float32Array, dimensions: number): VectorIndex {
  if (!Number.isInteger(dimensions) || dimensions < 1 || rows.length % dimensions !== 0)
    throw new RangeError(`${rows.length} numbers are not rows of ${dimensions}`);
  const size = rows.length / dimensions;
  return {
    size,
    dimensions,
    similarities(query) {
      checkDimensions(query, dimensions, "the query");
      const unit = normalise(query.slice());
      const similarities = new Float32Array(size);
      dots(rows, unit, similarities);
      return similarities;
    },
  };
}

/** Scales to length 1, in place; the zero vector stays. Gives its argument. */
export function normalise(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, 0, vector));
  if (length > 0) for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / length;
  return vector;
}

/** The unit vector in the middle of the vectors: what they have in common. */
export function centroid(vectors: readonly Float32Array[], dimensions: number): Float32Array {
  const sum = new Float32Array(dimensions);
  for (const vector of vectors) {
    checkDimensions(vector, dimensions, "a vector");
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] ?? 0) + (vector[i] ?? 0);
  }
  return normalise(sum);
}

/**
 * The query with each row, eight rows at a time: one alone would wait for its own sum at each step,
 * and each number of the query is fetched once for all. Every row is summed in the same order, so
 * that equal rows have equal similarities wherever they lie.
 */
function dots(rows: Float32Array, query: Float32Array, into: Float32Array): void {
  const length = query.length;
  let row = 0;
  for (; row + 8 <= into.length; row += 8) {
    const start = row * length;
    let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < length; i++) {
      const x = query[i] ?? 0;
      const at = start + i;
      a += (rows[at] ?? 0) * x;
      b += (rows[at + length] ?? 0) * x;
      c += (rows[at + 2 * length] ?? 0) * x;
      d += (rows[at + 3 * length] ?? 0) * x;
      e += (rows[at + 4 * length] ?? 0) * x;
      f += (rows[at + 5 * length] ?? 0) * x;
      g += (rows[at + 6 * length] ?? 0) * x;
      h += (rows[at + 7 * length] ?? 0) * x;
    }
    into[row] = a;
    into[row + 1] = b;
    into[row + 2] = c;
    into[row + 3] = d;
    into[row + 4] = e;
    into[row + 5] = f;
    into[row + 6] = g;
    into[row + 7] = h;
  }
  for (; row < into.length; row++) into[row] = dot(rows, row * length, query);
}

function dot(rows: Float32Array, start: number, query: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < query.length; i++) sum += (rows[start + i] ?? 0) * (query[i] ?? 0);
  return sum;
}

function checkDimensions(vector: Float32Array, dimensions: number, what: string): void {
  if (vector.length !== dimensions)
    throw new RangeError(`${what} has ${vector.length} dimensions, the index ${dimensions}`);
}
