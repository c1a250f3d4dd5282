import type { EntityType, FoundClaim, FoundValue, Named } from "../../domain/finding.ts";
import type { PatternContext } from "../language.ts";
import { datesIn, type DateSpan } from "./dates.ts";
import { isHypothetical, isNegated, isReported, isYetToCome } from "./guards.ts";
import { capitalisedName, namesIn, type NameSpan } from "./names.ts";

/** A sentence while it is read, with what is found in it once it is asked for. */
export interface ReadSentence {
  /** Masked where it is quoted; as far as it is stated. */
  readonly text: string;
  /** Of its first character in the episode's text. */
  readonly start: number;
  readonly saidAt: Date;
  readonly context: PatternContext;
  /** Words of whoever the templates' first person is: the customer's own, or the agent's about them. */
  readonly names: () => readonly NameSpan[];
  readonly dates: (tense: "past" | "future") => readonly DateSpan[];
}

export function readSentence(
  given: Pick<ReadSentence, "text" | "start" | "saidAt" | "context">,
): ReadSentence {
  let names: readonly NameSpan[] | undefined;
  return {
    ...given,
    names: () => (names ??= namesIn(given.text, given.context.lexicon)),
    dates: (tense) => datesIn(given.text, given.saidAt, tense),
  };
}

const boundary =
  /[,;:\u2013\u2014]|\s-\s|\b(?:but|and|because|since|so|although|though|while|however)\b/i;

/** Whether what stands before a match lets it be said as a fact. */
export function isStated(sentence: string, start: number, end: number): boolean {
  const before = sentence.slice(0, start);
  const clause = before.split(boundary).at(-1) ?? "";
  const after = sentence.slice(end).split(boundary).at(0) ?? "";
  const said = sentence.slice(start, end);
  const polite =
    /\bif (?:that|it) (?:helps|matters)|\bif (?:you )?need(?:ed)?|\bif possible\b|\bin case you\b/gi;
  const conditionals = sentence.replace(polite, "");
  return (
    !isNegated(clause) &&
    !isReported(before) &&
    !isHypothetical(clause + said) &&
    !isYetToCome(clause, sentence.slice(start)) &&
    !/\b(?:example|instance|e\.g\.|say)[,:]\s*$/i.test(before) &&
    !/\b(?:if|unless|suppos(?:e|ing)|imagin(?:e|ing)|assum(?:e|ing)|what if|as if|hypothetically|pretend)\b/i.test(
      conditionals,
    ) &&
    !/^\s*(?:is|was) (?:not|wrong|false|incorrect|untrue)\b/i.test(after)
  );
}

/** The name of a kind that stands at, or right after a "the" at, this place of the sentence. */
export function nameAt(
  { text, names, context }: ReadSentence,
  at: number,
  type: EntityType,
): NameSpan | undefined {
  const start = at + (/^\s*(?:the\s+)?/i.exec(text.slice(at))?.[0].length ?? 0);
  const known = context.lexicon.at(text, start);
  if (known)
    return known.known.type === type ? spanOf(type, known.known.name, start, known.end) : undefined;
  const there = names().find((name) => name.start === start);
  if (there) {
    if (there.type === type) return there;
    // An organisation looks like a person or a place to whoever does not know it.
    if (type !== "organisation") return undefined;
  }
  const name = type === "thing" ? undefined : capitalisedName(text.slice(start));
  return name === undefined ? undefined : spanOf(type, name, start, start + name.length);
}

function spanOf(type: EntityType, name: string, start: number, end: number): NameSpan {
  return { type, name, start, end };
}

export interface Times {
  readonly validFrom: string | undefined;
  readonly validTo: string | undefined;
  readonly timeBasis: FoundClaim["timeBasis"];
  /** Where the date ends in the sentence. */
  readonly end: number;
}

const noTimes = { validFrom: undefined, validTo: undefined, timeBasis: "assumed" } as const;

/** From and until when, by the dates that stand in this part of the sentence. */
export function timesIn(
  sentence: ReadSentence,
  [start, end]: readonly [number, number],
  tense: "past" | "future",
): Times {
  const dates = sentence.dates(tense).filter((date) => date.start >= start && date.end <= end);
  const [first, second] = dates;
  if (!first) return { ...noTimes, end: start };
  const lead = sentence.text.slice(start, first.start);
  const basis = first.relative ? "inferred" : "stated";
  const times = (from: Date | undefined, to: Date | undefined, at: number): Times => {
    return {
      validFrom: from?.toISOString(),
      validTo: to?.toISOString(),
      timeBasis: basis,
      end: at,
    };
  };
  // "From 2018 to 2021": the second says when it was over.
  if (second && /\b(?:from|between)\s*$/i.test(lead)) {
    const between = sentence.text.slice(first.end, second.start);
    if (/^\s*(?:to|until|till|and|[-\u2013])\s*$/i.test(between))
      return times(first.from, second.from, second.end);
  }
  const own = sentence.text.slice(first.start, first.end);
  if (/^(?:until|till|before|by|up to)\b/i.test(own) || /\b(?:until|till|up to)\s*$/i.test(lead)) {
    const over = /^(?:until|till|before|by|up to)\b/i.test(own)
      ? (first.to ?? first.from)
      : first.from;
    return times(undefined, over, first.end);
  }
  return times(first.from, undefined, first.end);
}

interface Parts {
  readonly kind?: "assert" | "end";
  readonly subject?: Named;
  readonly predicate: string;
  readonly value: FoundValue | undefined;
  readonly times?: Omit<Times, "end">;
  readonly confidence?: number;
  readonly start: number;
  readonly end: number;
}

/** A claim of what a part of the sentence says. The authority is whoever speaks. */
export function claimOf(
  sentence: ReadSentence,
  authority: FoundClaim["authority"],
  { kind = "assert", subject = { kind: "customer" }, predicate, value, ...rest }: Parts,
): FoundClaim {
  const { validFrom, validTo, timeBasis } = rest.times ?? noTimes;
  return {
    kind,
    subject,
    predicate,
    value,
    validFrom: kind === "end" ? undefined : validFrom,
    validTo: kind === "end" ? (validTo ?? validFrom) : validTo,
    timeBasis,
    authority,
    confidence: rest.confidence ?? 0.8,
    spanStart: sentence.start + rest.start,
    spanEnd: sentence.start + rest.end,
  };
}
