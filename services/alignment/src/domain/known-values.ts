import { segmentsOf } from "@soldier/kernel/template-text";
import type { Withheld } from "./fields.ts";
import { at, type Json, type JsonRecord } from "./json.ts";

/** Everything that a template, an expression or an argument may name in a turn. */
export interface KnownValues {
  readonly session: {
    readonly id: string;
    readonly turn: number;
    readonly channel: string;
    /** Names, not ids: they are what authors write. Empty when in no scenario. */
    readonly scenario: string;
    readonly step: string;
  };
  readonly customer: JsonRecord;
  readonly agent: JsonRecord;
  /** Verified facts of the customer, by field. */
  readonly profile: JsonRecord;
  /** How the profile's fields are known, by field: see provenanceOf. */
  readonly provenance: JsonRecord;
  /** What the conversation has collected, by field. */
  readonly fields: JsonRecord;
  /** Fields of either that are neither shown to a model nor said, for want of consent. */
  readonly withheld: ReadonlyMap<string, Withheld>;
  readonly variables: JsonRecord;
  /** Results of tools, by tool name, the latest last. */
  readonly results: JsonRecord;
  readonly message: { readonly text: string };
  readonly context: {
    readonly intent: string;
    readonly topic: string;
    readonly sentiment: number;
  };
}

/**
 * The value of a name such as "order.status" or "profile.email"; undefined when it has none. A bare
 * name is looked for in variables, profile, the properties of tool results (the latest first), and
 * what the conversation has collected.
 */
export function lookUp(known: KnownValues, name: string): Json | undefined {
  const [head = "", ...rest] = segmentsOf(name);
  const place = places[head]?.(known);
  if (place !== undefined && rest.length > 0) return present(at(place, rest));
  for (const source of bareSources(known)) {
    const found = present(at(source, [head, ...rest]));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What may be said: all but the fields that are withheld. */
export function sayable(known: KnownValues): KnownValues {
  if (known.withheld.size === 0) return known;
  const without = (fields: JsonRecord) =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => !known.withheld.has(name)));
  const { profile, provenance, fields } = known;
  return {
    ...known,
    profile: without(profile),
    provenance: without(provenance),
    fields: without(fields),
  };
}

/** The field that a name may mean: "email" in "profile.email", "fields.email" and "email". */
export function fieldIn(name: string): string {
  const [head = "", next = head] = segmentsOf(name);
  return ["profile", "provenance", "fields", "session"].includes(head) ? next : head;
}

const places: Readonly<Record<string, (known: KnownValues) => Json>> = {
  profile: (known) => known.profile,
  provenance: (known) => known.provenance,
  fields: (known) => known.fields,
  variables: (known) => known.variables,
  results: (known) => known.results,
  session: (known) => ({ ...known.fields, ...known.session }),
  customer: (known) => known.customer,
  agent: (known) => known.agent,
};

function* bareSources(known: KnownValues): Generator<Json> {
  yield known.variables;
  yield known.profile;
  yield* Object.values(known.results).toReversed();
  yield known.fields;
}

/** null means "no value" in JSON that tools answer. */
function present(value: Json | undefined): Json | undefined {
  return value === null ? undefined : value;
}
