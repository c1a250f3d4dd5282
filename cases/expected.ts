import { z } from "zod";

/** A list of names, or a single one. */
export function namesIn(expected: unknown): readonly string[] {
  return z.union([z.array(z.string()), z.string().transform((one) => [one])]).parse(expected);
}

export function textIn(expected: unknown): string {
  return z.string().parse(expected);
}

export function numberIn(expected: unknown): number {
  return z.number().parse(expected);
}

export function truthIn(expected: unknown): boolean {
  return z.boolean().parse(expected);
}

export function recordIn(expected: unknown): Readonly<Record<string, unknown>> {
  return z.record(z.string(), z.unknown()).parse(expected);
}

/** "expected [a, b], got [a]" unless both hold the same, in any order. */
export function differs(
  expected: readonly unknown[],
  got: readonly unknown[],
  ordered = false,
): string | undefined {
  const texts = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each));
  const [one, other] = ordered
    ? [texts(expected), texts(got)]
    : [texts(expected).toSorted(), texts(got).toSorted()];
  if (one.length === other.length && one.every((each, i) => each === other[i])) return undefined;
  return `expected ${shown(expected)}, got ${shown(got)}`;
}

export function lacks(expected: readonly string[], got: readonly string[]): string | undefined {
  const missing = expected.filter((each) => !got.includes(each));
  return missing.length === 0 ? undefined : `lacks ${shown(missing)}, got ${shown(got)}`;
}

export function hasAny(unwanted: readonly string[], got: readonly string[]): string | undefined {
  const found = unwanted.filter((each) => got.includes(each));
  return found.length === 0 ? undefined : `has ${shown(found)}`;
}

export function shown(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
