import type { PredicateRule } from "./facts.ts";

const one: PredicateRule = { cardinality: "one", inverseOne: false, authorityFirst: false };
const many: PredicateRule = { ...one, cardinality: "many" };

/**
 * What is read from texts without anybody declaring anything, and by which rule: a tenant that declares
 * one of these predicates decides otherwise.
 */
export const knownPredicates: Readonly<Record<string, PredicateRule>> = {
  lives_in: one,
  comes_from: many,
  born_in: one,
  birthday: one,
  works_at: one,
  job_title: one,
  name: one,
  preferred_name: one,
  email: one,
  phone: one,
  plan: one,
  diet: one,
  customer_since: one,
  prefers: many,
  likes: many,
  dislikes: many,
  allergic_to: many,
  speaks: many,
  owns: many,
  uses: many,
  ordered: many,
  knows: many,
  spouse: many,
  wife: many,
  husband: many,
  partner: many,
  mother: many,
  father: many,
  sister: many,
  brother: many,
  daughter: many,
  son: many,
  friend: many,
  colleague: many,
  manager: many,
};
