import type { Json, JsonRecord } from "./json.ts";

/** A value in the type that its schema asks for; as it is when that is not possible beyond doubt. */
export function fitted(value: Json, schema: JsonRecord | undefined): Json {
  if (!schema) return value;
  const types = typesOf(schema);
  if (typeof value === "number" || typeof value === "boolean")
    return types.every((type) => type === "string" || type === "null") && types.length > 0
      ? String(value)
      : value;
  if (typeof value !== "string") return value;
  const text = value.trim();
  const options = schema["enum"];
  if (Array.isArray(options)) {
    const same = options.find(
      (option) => typeof option === "string" && option.toLowerCase() === text.toLowerCase(),
    );
    if (same !== undefined) return same;
  }
  if (types.includes("string")) {
    return schema["format"] === "date" ? (isoDate(text) ?? text) : text;
  }
  if (types.includes("number") || types.includes("integer")) return amount(text) ?? value;
  if (types.includes("boolean")) {
    if (/^(?:yes|true|yep|yeah)$/i.test(text)) return true;
    if (/^(?:no|false|nope)$/i.test(text)) return false;
  }
  return text;
}

export function typesOf(schema: JsonRecord): readonly string[] {
  const type = schema["type"];
  return (Array.isArray(type) ? type : [type]).filter((each) => typeof each === "string");
}

/** "1,500", "$1500", "1500 €"; undefined where digits could be read in two ways. */
function amount(text: string): number | undefined {
  const plain = text.replace(/^[$€£₪¥]\s*|\s*[$€£₪¥]$/g, "");
  if (!/^[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?$/.test(plain)) return undefined;
  return Number(plain.replaceAll(",", ""));
}

const months = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");

/** The day that plain words name, ISO 8601; undefined when none, or when it could be two. */
export function isoDate(text: string): string | undefined {
  const plain = text.trim().toLowerCase();
  const [, year = "", month = "", day = ""] =
    /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(plain) ?? [];
  if (year) return realDay(Number(year), Number(month), Number(day));
  const words =
    /^(?:the )?(?<day>\d{1,2})(?:st|nd|rd|th)?(?: of)? (?<month>[a-z]{3,9})\.?,? (?<year>\d{4})$/.exec(
      plain,
    ) ?? /^(?<month>[a-z]{3,9})\.? (?<day>\d{1,2})(?:st|nd|rd|th)?,? (?<year>\d{4})$/.exec(plain);
  if (words?.groups) {
    const { day: d, month: m = "", year: y } = words.groups;
    return realDay(Number(y), monthNumber(m), Number(d));
  }
  const [, first = "", second = "", last = ""] =
    /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$/.exec(plain) ?? [];
  // 01/02 is the first of February here and the second of January there.
  if (Number(first) > 12) return realDay(Number(last), Number(second), Number(first));
  if (Number(second) > 12) return realDay(Number(last), Number(first), Number(second));
  return undefined;
}

const monthNames =
  "january february march april may june july august september october november december".split(
    " ",
  );

function monthNumber(word: string): number {
  const full = monthNames.indexOf(word);
  return (full >= 0 ? full : months.indexOf(word === "sept" ? "sep" : word)) + 1;
}

function realDay(year: number, month: number, day: number): string | undefined {
  const date = new Date(Date.UTC(year, month - 1, day));
  const same = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return same ? date.toISOString().slice(0, 10) : undefined;
}
