import nlp from "compromise";
import type { EntityType } from "../../domain/finding.ts";
import type { Lexicon } from "../lexicon.ts";

/** A name in a sentence; the end is excluded. */
export interface NameSpan {
  readonly type: EntityType;
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export const relations =
  "wife|husband|spouse|partner|fianc[ée]e?|girlfriend|boyfriend|mother|mum|mom|father|dad|sister|brother|" +
  "daughter|son|grandmother|grandma|grandfather|grandpa|aunt|uncle|cousin|niece|nephew|friend|flatmate|" +
  "roommate|neighbou?r|boss|manager|supervisor|colleague|coworker|assistant|doctor|lawyer|accountant|landlord";

const notNames = new Set(
  (
    "i i'm i'll i've i'd we you he she it they my your his her our their the a an this that these those " +
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august " +
    "september october november december mon tue tues wed thu thur fri sat sun jan feb mar apr jun jul aug sep sept " +
    "oct nov dec english german french spanish italian portuguese polish dutch chinese japanese russian arabic hindi " +
    "turkish greek swedish danish christmas easter hi hello hey dear thanks thank please yes no ok okay sorry regards " +
    "hallo good morning afternoon evening mr mrs ms dr prof order ticket invoice account email phone support team " +
    "customer service sir madam today tomorrow yesterday and or but so if when where what who how why is are was were " +
    "do does did can could will would not premium basic gold silver pro app web ios android google apple amazon paypal " +
    "visa mastercard wifi wi-fi faq pdf vat iban pin sms usb tv pc id url api here there online speaking"
  ).split(" "),
);

const capital = "\\p{Lu}[\\p{L}\\p{M}'’.-]*";
const joined = `${capital}(?:\\s+(?:(?:de|da|do|dos|del|della|di|la|le|van|von|der|den|of|al|el|bin|y|upon|on|the)\\s+){0,2}${capital}){0,3}`;
/** Capitalised words at the beginning of a text. */
const capitals = new RegExp(`^${joined}`, "u");

/** The capitalised name that a text begins with; undefined when it is none or an everyday word. */
export function capitalisedName(text: string): string | undefined {
  const found = capitals.exec(text)?.[0];
  return found === undefined ? undefined : tidy(found);
}

/** Without what clings to a name: possessives, stops, everyday words at either end. */
function tidy(name: string): string | undefined {
  const words = name
    .replace(/['’]s$/i, "")
    .replace(/[.,;:!?'’-]+$/u, "")
    .split(/\s+/);
  const clings = (word: string) =>
    isEveryday(word) || (words.length > 1 && /^(?:on|of|the|al|la|le|y)$/.test(word));
  while (words.length > 0 && clings(words.at(-1) ?? "")) words.pop();
  if (words.length === 0 || isEveryday(words[0] ?? "")) return undefined;
  // A short name that ends in a stop lost it above on purpose; "St. Ives" keeps its own.
  return words.join(" ");
}

function isEveryday(word: string): boolean {
  return notNames.has(word.toLowerCase().replace(/[.,;:!?]+$/, ""));
}

const contexts: readonly { readonly type: EntityType; readonly before: RegExp }[] = [
  {
    type: "person",
    before: new RegExp(
      `\\b(?:my|your|his|her|our)\\s+(?:\\w+\\s+)?(?:${relations})(?:['’]s name is|\\s+is (?:called|named)|\\s+(?:called|named)|,)?\\s+(?=\\p{Lu})|` +
        "\\b(?:my|your|his|her)\\s+(?:(?:full|first|last|real)\\s+)?name(?:['’]s|\\s+is)\\s+(?=\\p{Lu})|" +
        "\\bcall me\\s+(?=\\p{Lu})|\\bI go by\\s+(?=\\p{Lu})|\\b(?:married|engaged) to\\s+(?=\\p{Lu})|" +
        "\\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\\.?\\s+(?=\\p{Lu})|\\b(?:spoke|speaking|spoken|talked|chatted) (?:to|with)\\s+(?=\\p{Lu})|" +
        "\\b(?:ask for|thanks,?|hi|hello|dear|regards,|cheers,)\\s+(?=\\p{Lu})|\\bcolleague\\s+(?=\\p{Lu})",
      "giu",
    ),
  },
  {
    type: "place",
    before:
      /\b(?:live[sd]?|living|reside[sd]?|residing|based|born|stay(?:s|ed|ing)?|moved?|moving|relocat(?:e|ed|ing)|grew up|flat|apartment|house|office|store|shop|branch|warehouse|address|hotel|airport)\s+(?:back\s+|over\s+|out\s+|up\s+|down\s+)?(?:in|to|near|outside|at)\s+(?:the\s+)?(?=\p{Lu})|\b(?:in|near|outside)\s+(?=\p{Lu})|\b(?:deliver(?:ed|y)?|ship(?:ped|ping)?|sent?|flying|fly|flew|travel(?:l?ing|l?ed)?|trip|going|drove|driving)\s+(?:it\s+|them\s+|my order\s+)?to\s+(?=\p{Lu})|\bmov(?:ed|ing) (?:away )?from\s+(?=\p{Lu})/giu,
  },
];

interface CompromiseTerm {
  readonly text: string;
  readonly offset?: { readonly start: number; readonly length: number };
}

/** People and places by compromise, its slips mended, and the tenant's own names, which go before. */
export function namesIn(text: string, lexicon: Lexicon): readonly NameSpan[] {
  const found: NameSpan[] = [];
  const add = (type: EntityType, start: number, said: string) => {
    const led = said.length - said.trimStart().length;
    const name = tidy(said.trim());
    if (name === undefined || name.length < 2) return;
    const at = text.indexOf(name, start + led);
    if (at < 0) return;
    const span = { type, name, start: at, end: at + name.length };
    if (!found.some((other) => other.start < span.end && span.start < other.end)) found.push(span);
  };
  for (const { known, start, end } of lexicon.all(text))
    found.push({ type: known.type, name: known.name, start, end });
  for (const { type, before } of contexts)
    for (const match of text.matchAll(before)) {
      const start = match.index + match[0].length;
      const name = capitalisedName(text.slice(start));
      if (name !== undefined) add(type, start, text.slice(start, start + name.length));
    }
  const doc = nlp(text);
  for (const [type, view] of [
    ["place", doc.places()],
    ["person", doc.people()],
  ] as const) {
    const spans = view.json({ offset: true }) as readonly CompromiseTerm[];
    for (const { text: said, offset } of spans)
      if (offset) add(type, offset.start, withoutRelation(said, type));
  }
  return found.toSorted((a, b) => a.start - b.start);
}

/** "sister Anna" is Anna. */
function withoutRelation(said: string, type: EntityType): string {
  if (type !== "person") return said.replace(/^the\s+/i, "");
  const bare = said.replace(
    new RegExp(`^(?:(?:my|your|hi|hello|hey|dear|${relations})[\\s,]+)+`, "i"),
    "",
  );
  // A relation alone, or pronouns, are nobody's name.
  return new RegExp(`^(?:${relations}|i|me|he|she|him|her)$`, "i").test(bare) ? "" : bare;
}
