// Texts and vectors that nobody has said, but spread as real ones are.

/** Numbers from 0 to 1, the same ones in each run. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Texts of made-up words, as often as words are in speech: the n-th with 1/n of the first one's share. */
export function talker(random: () => number): (words: number) => string {
  const syllables = ["ba", "den", "ki", "lo", "mar", "nu", "pes", "ri", "sto", "tal", "ve", "zin"];
  const words = Array.from({ length: 20_000 }, (_, i) =>
    [i % 12, Math.floor(i / 12) % 12, Math.floor(i / 144) % 12, Math.floor(i / 1_728) % 12]
      .map((which) => syllables[which])
      .join(""),
  );
  return (count) =>
    Array.from({ length: count }, () => words[Math.floor(words.length ** random()) - 1]).join(" ");
}

/** Of so many numbers that mean something, as those of texts do. */
const meanings = 32;
/** How far what is said of one thing lies apart, and how much of a vector is chance, the thing itself being 1. */
const apart = 0.8;
const chance = 0.25;

/**
 * Unit vectors around topics: two of one topic have a cosine of about 0.6, those of different topics about 0.
 * What sets a topic's vectors apart lies in 32 directions, the same for all, beside some chance in each.
 */
export function vectors(
  dimensions: number,
  topics: number,
  random: () => number,
): (topic: number) => Float32Array {
  const normalOf = (from: () => number) => () =>
    (from() + from() + from() + from() - 2) * Math.sqrt(3);
  const normal = normalOf(random);
  const fixed = normalOf(randomFrom(1)); // the topics are the same ones in each run
  const centres = Array.from({ length: topics }, () =>
    scaled(Float32Array.from({ length: dimensions }, fixed), 1),
  );
  const directions = Array.from({ length: meanings }, () =>
    scaled(Float32Array.from({ length: dimensions }, fixed), 1),
  );
  return (topic) => {
    const vector = Float32Array.from(centres[topic % topics] ?? []);
    for (const direction of directions) {
      const far = (normal() * apart) / Math.sqrt(meanings);
      for (let i = 0; i < dimensions; i++) vector[i] = (vector[i] ?? 0) + far * (direction[i] ?? 0);
    }
    const far = chance / Math.sqrt(dimensions);
    for (let i = 0; i < dimensions; i++) vector[i] = (vector[i] ?? 0) + far * normal();
    return scaled(vector, 1);
  };
}

function scaled(vector: Float32Array, length: number): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const by = length / Math.sqrt(sum);
  return vector.map((value) => value * by);
}
