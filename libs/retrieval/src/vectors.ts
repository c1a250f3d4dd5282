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
      for (let row = 0; row < size; row++) similarities[row] = dot(rows, row * dimensions, unit);
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

/** Four sums side by side: one alone would wait for itself at each addition. */
function dot(rows: Float32Array, start: number, query: Float32Array): number {
  const length = query.length;
  const inFours = length - (length % 4);
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < inFours; i += 4) {
    a += (rows[start + i] ?? 0) * (query[i] ?? 0);
    b += (rows[start + i + 1] ?? 0) * (query[i + 1] ?? 0);
    c += (rows[start + i + 2] ?? 0) * (query[i + 2] ?? 0);
    d += (rows[start + i + 3] ?? 0) * (query[i + 3] ?? 0);
  }
  for (; i < length; i++) a += (rows[start + i] ?? 0) * (query[i] ?? 0);
  return a + b + c + d;
}

function checkDimensions(vector: Float32Array, dimensions: number, what: string): void {
  if (vector.length !== dimensions)
    throw new RangeError(`${what} has ${vector.length} dimensions, the index ${dimensions}`);
}
