import fc from "fast-check";

/** What a worker does next; numbers choose among what there is, modulo how much there is. */
export type Act =
  | {
      readonly kind: "begin";
      readonly session: number | undefined;
      readonly key: number | undefined;
      readonly hash: number;
      readonly supersede: boolean;
      /** Repeats an earlier call's turn id instead of taking a fresh one. */
      readonly repeats: number | undefined;
    }
  | { readonly kind: "commit"; readonly attempt: number }
  | { readonly kind: "abort"; readonly attempt: number }
  | { readonly kind: "renew"; readonly attempt: number }
  | { readonly kind: "crash"; readonly session: number }
  | { readonly kind: "close"; readonly session: number };

const pick = fc.nat({ max: 30 });
const perhaps = <T>(value: fc.Arbitrary<T>, freq: number) =>
  fc.option(value, { nil: undefined, freq });
const begin: fc.Arbitrary<Act> = fc.record({
  kind: fc.constant("begin" as const),
  session: perhaps(pick, 3),
  key: perhaps(fc.nat({ max: 3 }), 2),
  hash: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.constant(1)),
  supersede: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  repeats: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, pick),
});
const after = (kind: "commit" | "abort" | "renew"): fc.Arbitrary<Act> =>
  fc.record({ kind: fc.constant(kind), attempt: pick });
const around = (kind: "crash" | "close"): fc.Arbitrary<Act> =>
  fc.record({ kind: fc.constant(kind), session: pick });

export const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 10, arbitrary: begin },
  { weight: 6, arbitrary: after("commit") },
  { weight: 1, arbitrary: after("abort") },
  { weight: 1, arbitrary: after("renew") },
  { weight: 3, arbitrary: around("crash") },
  { weight: 1, arbitrary: around("close") },
);

/** One of what there is. */
export function at<T>(all: readonly T[], index: number): T | undefined {
  return all.length === 0 ? undefined : all[index % all.length];
}

export function keyOf({ key, hash }: Act & { kind: "begin" }) {
  if (key === undefined) return {};
  return { key: { text: `key-${key}`, requestHash: Uint8Array.of(hash) } };
}
