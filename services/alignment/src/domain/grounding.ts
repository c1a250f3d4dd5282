import { typesOf } from "./coercion.ts";
import { isRecord, type Json, type JsonRecord } from "./json.ts";
import { propertiesOf } from "./tool-schema.ts";

/**
 * What was said in a conversation or is known beside it, to look up the values that a model proposes:
 * what nobody said, no tool shall get.
 */
export interface Grounds {
  /** Whether the words of a text occur; how they are written does not matter. */
  says(text: string): boolean;
  /** Whether a number occurs, or follows from two that do by one operation. */
  counts(number: number): boolean;
}

export function groundsOf(given: readonly string[]): Grounds {
  const texts = given.map((text) => text.slice(0, textLengthMax));
  const lines = texts.map(wordsOf);
  const words = new Set(lines.flat());
  const digits = texts
    .map((text) => text.replaceAll(/\D/g, " ").replaceAll(/ (?=\d)/g, ""))
    .join(" ");
  const joined = lines.map((line) => line.join("")).join(" ");
  const numbers = new Set(texts.flatMap(numbersIn));

  const isWord = (word: string): boolean =>
    words.has(word) ||
    (unspaced.test(word) && joined.includes(word)) ||
    (/^\d{9,}$/.test(word) && digits.includes(word.slice(-phoneDigits))) ||
    (!/\d/.test(word) &&
      word.length >= stemMin &&
      words.values().some((each) => sameStem(each, word)));

  return {
    says(text) {
      const asked = wordsOf(text);
      if (asked.length === 0) return false;
      if (lines.some((line) => holdsRun(line, asked.join("")))) return true;
      // A summary is worded by whoever writes it; what it may not invent is numbers and codes.
      const exact = asked.length > proseMin ? asked.filter((word) => /\d/.test(word)) : asked;
      return exact.every(isWord);
    },
    counts(number) {
      if (numbers.has(number)) return true;
      const has = (value: number) =>
        numbers.has(value) || numbers.has(Math.round(value * 1e6) / 1e6);
      return numbers
        .values()
        .some(
          (one) =>
            has(number - one) ||
            has(one - number) ||
            (one !== 0 && (has(number / one) || has(number * one))),
        );
    },
  };
}

/** Of what a tool answered only the beginning is looked at. */
const textLengthMax = 50_000;
const proseMin = 8;
const stemMin = 4;
const phoneDigits = 7;
/** Scripts that are written without spaces. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/** In small letters and without accents, so that "José" and "jose", "L-17" and "l 17" are the same. */
function wordsOf(text: string): readonly string[] {
  const plain = text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Whether some words in a row, written as one, are this. */
function holdsRun(line: readonly string[], squeezed: string): boolean {
  return line.some((_, from) => {
    let run = "";
    for (let i = from; i < line.length && run.length < squeezed.length; i++) run += line[i];
    return run === squeezed;
  });
}

/** The same word in another form: "euro" and "euros". */
function sameStem(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return long.startsWith(short) && /^(?:s|es|e|n|en|d|ed)$/.test(long.slice(short.length));
}

const numberWords: Readonly<Record<string, number>> = Object.fromEntries([
  ..."zero one two three four five six seven eight nine ten eleven twelve"
    .split(" ")
    .map((word, i) => [word, i]),
  ...Object.entries({ a: 1, an: 1, double: 2, twice: 2, couple: 2, pair: 2, triple: 3, dozen: 12 }),
  ...Object.entries({
    half: 0.5,
    twenty: 20,
    thirty: 30,
    fifty: 50,
    hundred: 100,
    thousand: 1_000,
  }),
]);

/** Digits of an id are no number that anybody said: nearly any small one is among them. */
function withoutIds(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi, " ")
    .replaceAll(/[a-z0-9]{8,}/gi, (word) =>
      word.split(/(?<=\d)(?=\D)|(?<=\D)(?=\d)/).length >= idPartsMin ? " " : word,
    );
}

/** Of letters and digits by turns: "sku12345" is of two, "200EUR" as well, "9s6XKzkN1" of five. */
const idPartsMin = 4;

function numbersIn(text: string): readonly number[] {
  const written = withoutIds(text).matchAll(/\d[\d.,]*(?<unit>\s?%|[km]\b)?/gi);
  return [
    ...[...written].flatMap(({ 0: match, groups }) => {
      const digits = match.replace(/\D+$/, "");
      const readings = [digits.replaceAll(",", ""), digits.replaceAll(".", "").replace(",", ".")];
      const values = readings.map(Number).filter(Number.isFinite);
      return values.flatMap((value) => scaled(value, groups?.["unit"]?.trim().toLowerCase()));
    }),
    ...wordsOf(text).flatMap((word) => numberWords[word] ?? []),
  ];
}

function scaled(value: number, unit: string | undefined): readonly number[] {
  if (unit === "%") return [value, value / 100, 1 - value / 100, 1 + value / 100];
  if (unit === "k") return [value, value * 1e3];
  return unit === "m" ? [value, value * 1e6] : [value];
}

/**
 * Whether a proposed value may be used: text must have been said; dates follow from others and pass,
 * as do numbers where a mistake can be mended. What the schema lists, or marks "x-derived", passes.
 */
export function isGrounded(
  name: string,
  value: Json,
  schema: JsonRecord | undefined,
  grounds: Grounds,
  strict: boolean,
): boolean {
  if (schema?.["enum"] !== undefined || schema?.["const"] !== undefined) return true;
  if (schema?.["x-derived"] === true || value === null || typeof value === "boolean") return true;
  if (typeof value === "number") return !strict || grounds.counts(value);
  if (typeof value === "string") {
    if (isDate(value)) return true;
    const numeric =
      schema && typesOf(schema).some((type) => type === "number" || type === "integer");
    return numeric === true || (!saysNothing(name, value) && grounds.says(value));
  }
  const inner = (of: Json, key: string, part: JsonRecord | undefined) =>
    isGrounded(key, of, part, grounds, strict);
  if (Array.isArray(value)) {
    const items = schema?.["items"];
    return value.every((item) => inner(item, name, isRecord(items) ? items : undefined));
  }
  const properties = propertiesOf(schema);
  return Object.entries(value).every(([key, of]) => inner(of, key, properties[key]));
}

/** A day, a time or both, in figures. */
function isDate(value: string): boolean {
  const [day = "", time, ...more] = value.trim().split(/[T ]/);
  if (more.length > 0) return false;
  return time === undefined ? isDay(day) || isTime(day) : isDay(day) && isTime(time);
}

function isDay(text: string): boolean {
  return /^(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})$/.test(text);
}

function isTime(text: string): boolean {
  return /^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?$/.test(text);
}

const pointing = new Set(
  "my your the his her our their customer customers user users own this that s".split(" "),
);

/** "my account" for an argument "from_account" names it and gives nothing for it. */
function saysNothing(name: string, value: string): boolean {
  const own = new Set(wordsOf(name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ")));
  return wordsOf(value).every((word) => pointing.has(word) || own.has(word));
}
