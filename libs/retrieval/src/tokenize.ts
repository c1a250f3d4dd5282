import { stemmer } from "stemmer";

export interface TokenizeOptions {
  /** Whether English function words are left out. Default true. */
  readonly dropStopWords?: boolean;
}

/**
 * The words of a text as an index keeps them: lower case, compatibility forms and typographic
 * apostrophes made plain, English endings removed ("refunds", "refunded" → "refund"). Scripts
 * without spaces between words (Chinese, Japanese, Thai ...) give their pairs of characters.
 */
export function tokenize(text: string, options: TokenizeOptions = {}): string[] {
  const dropStopWords = options.dropStopWords ?? true;
  const plain = text.normalize("NFKC").toLowerCase().replaceAll("’", "'");
  const tokens: string[] = [];
  for (const word of plain.match(wordPattern) ?? []) {
    const bare = word.endsWith("'s") ? word.slice(0, -2) : word;
    if (dropStopWords && stopWords.has(bare)) continue;
    const stem = stems.get(bare);
    if (stem !== undefined) tokens.push(stem);
    else if (unspaced.test(word)) tokens.push(...pairs(word));
    else tokens.push(remembered(bare));
  }
  return tokens;
}

const wordPattern = /[\p{L}\p{N}\p{M}]+(?:'[\p{L}\p{M}]+)*/gu;
const asciiWord = /^[a-z]+$/;
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** Stems of the words seen last: the same few thousand make up most of all texts. */
const stems = new Map<string, string>();
const stemsMax = 20_000;
const stemLettersMax = 40;

function remembered(bare: string): string {
  const stem = asciiWord.test(bare) ? stemmer(bare) : bare;
  if (bare.length > stemLettersMax) return stem;
  if (stems.size >= stemsMax) stems.clear();
  stems.set(bare, stem);
  return stem;
}

function pairs(run: string): string[] {
  const characters = Array.from(run);
  if (characters.length === 1) return characters;
  return characters.slice(1).map((character, i) => `${characters[i] ?? ""}${character}`);
}

/** Words that say nothing about the subject. Negations stay: "not arrived" is not "arrived". */
const stopWords: ReadonlySet<string> = new Set(
  (
    "a about after again all also am an and any are as at be because been before being but by can " +
    "could did do does doing down during each few for from further had has have having he her here " +
    "hers him his how i i'd i'll i'm i've if in into is it it'd it'll its itself just let let's " +
    "may me might more most must my myself of off on once only or other our ours out over own please " +
    "same shall she should so some such than that the their theirs them then there these they this " +
    "those through to too under until up us very was we we'd we'll we're we've were what when where " +
    "which while who whom why will with would you you'd you'll you're you've your yours yourself"
  ).split(" "),
);
