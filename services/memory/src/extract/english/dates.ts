import recognizers from "@microsoft/recognizers-text-suite";
import { type SeasonSpan, seasonsIn } from "../../domain/seasons.ts";

/** A date or a span of time in a sentence, as instants; the end is excluded. */
export interface DateSpan {
  readonly start: number;
  readonly end: number;
  /** Undefined: open on that side. */
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  /** Counted from when it was said: "last March", "two years ago". */
  readonly relative: boolean;
}

/** Without one of these no date is looked for: looking costs milliseconds. */
export const dateCue =
  /\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|apr|jun|jul|aug|sept?|oct|nov|dec)\b|\b(?:yesterday|today|tonight|tomorrow|week(?:end)?s?|months?|years?|ago|spring|summer|autumn|fall|winter|christmas|easter|fortnight|since|until)\b/i;

type Value = Readonly<Record<string, string | undefined>>;
type Tense = "past" | "future";

/** The dates of a sentence that was said at this time. "In May" is the last one, or the next one for the future. */
export function datesIn(text: string, saidAt: Date, tense: Tense = "past"): readonly DateSpan[] {
  if (!dateCue.test(text)) return [];
  // It reckons in the local time of this machine.
  const reference = new Date(
    saidAt.getUTCFullYear(),
    saidAt.getUTCMonth(),
    saidAt.getUTCDate(),
    12,
  );
  const seasons = seasonsIn(text, saidAt, tense);
  const found = recognizers.recognizeDateTime(text, "en-us", 0, reference);
  return found.flatMap(({ start, end, typeName, resolution }): DateSpan[] => {
    const said = text.slice(start, end + 1);
    if (isNoDate(text, start, end + 1, typeName)) return [];
    const values = (resolution["values"] ?? []) as readonly (Value | Map<string, string>)[];
    const plain = values.map((each): Value =>
      each instanceof Map ? Object.fromEntries(each) : each,
    );
    const value = tense === "past" ? plain[0] : plain.at(-1);
    // It knows no season's months.
    const season = seasons.find((one) => one.start < end + 1 && one.end > start);
    const interval = value && (intervalOf(value) ?? (season && withinSeason(value, season)));
    if (!interval) return [];
    const relative = !/\b\d{4}\b/.test(said);
    return [{ start, end: end + 1, relative, ...interval }];
  });
}

/** A time of day, a duration, "now", the modal "may", a woman called May, a number that is no year. */
function isNoDate(text: string, start: number, end: number, typeName: string): boolean {
  if (!/\.(?:date|daterange|datetime|datetimerange)$/.test(typeName)) return true;
  const said = text.slice(start, end);
  const before = text.slice(0, start);
  if (
    /^(?:now|right now|at the moment|asap|as soon as possible|currently|recently|previously|once|the day|day|week|month|year|sun|sat|second|the (?:day|week|month|year))$/i.test(
      said,
    )
  )
    return true;
  if (/^may$/i.test(said)) {
    const dated =
      /\b(?:in|since|until|till|by|before|after|last|next|this|of|from|early|late|mid)[\s-]+$/i;
    return !dated.test(before) || /^\s+(?:I|we|you|not|be|have|\p{Lu})/u.test(text.slice(end));
  }
  if (/^march$/i.test(said) && /\b(?:to|we|they|will|I)\s+$/i.test(before) && said === "march")
    return true;
  // "March in and ask", "April showers": a month alone begins a sentence only as its subject.
  if (/^(?:march|april|june|august)$/i.test(said) && before.trim() === "")
    return !/^(?:[,.:!?]|$|\s+(?:is|was|will|has|and|or|to|until|till|works|would|suits|\d))/i.test(
      text.slice(end),
    );
  if (/^\d{4}$/.test(said) && Number(said) > 2100) return true;
  return (
    /^\d{1,4}$/.test(said) &&
    /(?:#|\b(?:order|number|no\.?|nr\.?|code|pin|room|flat|ref(?:erence)?|invoice|ticket|model|version|ends? (?:in|with)|ending (?:in|with)|paid|of|for|cost))\s*(?:is\s*)?[#:]?\s*$/i.test(
      before,
    )
  );
}

function withinSeason(value: Value, { from, to }: SeasonSpan): Pick<DateSpan, "from" | "to"> {
  if (value["Mod"] === "since") return { from, to: undefined };
  if (value["Mod"] === "before") return { from: undefined, to: from };
  return value["Mod"] === "after" ? { from: to, to: undefined } : { from, to };
}

function intervalOf(value: Value): Pick<DateSpan, "from" | "to"> | undefined {
  const day = 86_400_000;
  const at = (text: string | undefined) => {
    if (text === undefined || text === "not resolved") return undefined;
    const time = new Date(
      `${text.slice(0, 10)}T${text.length > 10 ? text.slice(11) : "00:00:00"}Z`,
    );
    return Number.isNaN(time.getTime()) ? undefined : time;
  };
  const instant = at(value["value"]);
  if (instant) return { from: instant, to: new Date(instant.getTime() + day) };
  const [from, to] = [at(value["start"]), at(value["end"])];
  return from || to ? { from, to } : undefined;
}
