import type { EntityType, FoundClaim, FoundValue, Named } from "../../domain/finding.ts";
import { claimOf, isStated, nameAt, type ReadSentence, timesIn } from "./clause.ts";
import { mailsIn, phonesIn } from "./identities.ts";
import { relations } from "./names.ts";

export type Authority = FoundClaim["authority"];

/** The words of one person about the customer: their own, or the agent's to them. */
export interface Person {
  readonly i: string;
  readonly am: string;
  readonly have: string;
  readonly my: string;
  readonly me: string;
}

export const persons = {
  first: {
    i: "i",
    am: "(?:i am|i['’]?m)",
    have: "(?:i have|i['’]?ve|i)",
    my: "(?:my|our)",
    me: "me",
  },
  second: {
    i: "you",
    am: "(?:you are|you['’]?re)",
    have: "(?:you have|you['’]?ve|you)",
    my: "your",
    me: "you",
  },
} as const satisfies Record<string, Person>;

/** How something is found right after the words of a template. */
type Reader = (
  sentence: ReadSentence,
  at: number,
) => { readonly value: FoundValue; readonly end: number } | undefined;

interface Template {
  readonly predicate: string;
  readonly kind?: "assert" | "end";
  /** Ends where the value begins. */
  readonly words: RegExp;
  readonly read: Reader;
  /** "Will move in May" is of the May to come. */
  readonly tense?: "past" | "future";
  /** Several in a row: "nuts, milk and eggs". */
  readonly list?: boolean;
  /** Only with a time: what is planned for some day holds on none. */
  readonly timed?: boolean;
}

const adverbs =
  "(?:(?:now|currently|also|just|recently|still|always|usually|actually|really|only|both|finally|already|mostly|officially|personally|presently)\\s+)*";

const named =
  (type: EntityType): Reader =>
  (sentence, at) => {
    const name = nameAt(sentence, at, type);
    return name && { value: { kind: "mention", name: name.name, type }, end: name.end };
  };

const literal =
  (pattern: RegExp, write: (said: string) => string | undefined = (said) => said): Reader =>
  ({ text }, at) => {
    const found = new RegExp(pattern.source, `${pattern.flags.replace("g", "")}y`);
    found.lastIndex = at;
    const said = found.exec(text)?.[0];
    const json = said === undefined ? undefined : write(said.trim());
    if (said === undefined || json === undefined || json === "") return undefined;
    return { value: { kind: "literal", json }, end: at + said.length };
  };

/** A liking or the like: up to where the sentence turns to something else. */
const thing = literal(
  /(?!(?:it|that|this|the|to|you|your|him|her|them|how|what|when|being|if|a lot|so|very|one)\b)[\p{L}\p{N}][\p{L}\p{N}' ’-]{1,60}?(?=\s*(?:$|[.!,;:?()\u25a0\u2013\u2014]|\b(?:to|over|instead|than|rather|because|and|but|so|since|when|as|for|on|at|in|with|from|anymore|any more|a lot|very much|too|please|if|it|i|which|that|by|these days|most)\b))/iu,
  (said) => said.toLowerCase().replace(/^(?:a|an|any|some|all|eating|drinking)\s+/i, ""),
);

const mail: Reader = ({ text }, at) => {
  const found = mailsIn(text.slice(at, at + 120)).find(({ start }) => start <= 3);
  return found && { value: { kind: "literal", json: found.value }, end: at + found.end };
};

const phone: Reader = ({ text, context }, at) => {
  const found = phonesIn(text.slice(at, at + 60), context.country).find(({ start }) => start <= 3);
  return found && { value: { kind: "literal", json: found.value }, end: at + found.end };
};

const day: Reader = ({ text, dates }, at) => {
  const found = dates("past").find(({ start }) => start >= at && start <= at + 4);
  if (!found?.from) return undefined;
  const [date = ""] = found.from.toISOString().split("T");
  const said = text.slice(found.start, found.end);
  // As exact as it was said: a year, a month, a day of every year, a day.
  const dayless = !/\d(?!\d{0,3}$)|\d{1,2}(?:st|nd|rd|th)\b/.test(said);
  const yearly = !/\b\d{4}\b/.test(said);
  const month = /\b\p{L}{3,}\s+\d{4}$/u.test(said) && !/since\s+\d{4}$/i.test(said);
  const json = yearly ? `--${date.slice(5)}` : dayless ? date.slice(0, month ? 7 : 4) : date;
  return {
    value: { kind: "literal", json },
    end: found.end,
  };
};

const diet = literal(
  /(?:vegan|vegetarian|pescatarian|lactose[- ]intolerant|gluten[- ](?:free|intolerant)|coeliac|celiac)/i,
  (said) => said.toLowerCase(),
);
const languages =
  /(?:english|german|french|spanish|italian|portuguese|polish|dutch|chinese|mandarin|cantonese|japanese|korean|russian|arabic|hindi|turkish|greek|swedish|danish|norwegian|finnish|czech|hungarian|romanian|ukrainian|hebrew|vietnamese|thai)\b/i;
const given = literal(/\p{L}[\p{L}'’-]+/u, (said) =>
  /^(?:a|an|the|back|me|you|when|if|at|on|in|asap|later|today|tomorrow|please|now|anytime|again|before|after|any|by|about|to|for|and|or|soon)$/i.test(
    said,
  )
    ? undefined
    : said,
);

/** About 25 ways in which somebody says something lasting. */
function templatesOf({ i, am, have, my, me }: Person): readonly Template[] {
  const words = (pattern: string) => new RegExp(`(?<![\\p{L}'’])${pattern}\\s+`, "giu");
  const place = named("place");
  const organisation = named("organisation");
  const living = "(?:live|reside|am living|are living|am based|are based|am staying)";
  const beLiving = `(?:${am}|${i} am|${have} been|${i} have lived|${i}['’]ve lived|${have} been living)`;
  return [
    {
      predicate: "lives_in",
      words: words(`${i} ${adverbs}${living} ${adverbs}(?:in|at|near)`),
      read: place,
    },
    {
      predicate: "lives_in",
      words: words(`${beLiving} ${adverbs}(?:living |based |staying )?(?:in|at)`),
      read: place,
    },
    {
      predicate: "lives_in",
      words: words(
        `${have} ${adverbs}(?:moved|relocated)(?: back| house| over| out)?(?: from [\\p{L} ]{2,30}?)? to`,
      ),
      read: place,
    },
    {
      predicate: "lives_in",
      words: words(
        `(?:${am}|${i} will|${i}['’]ll|${i} am going to|${am} going to) ${adverbs}(?:moving|relocating|move|relocate)(?: back| over)?(?: from [\\p{L} ]{2,30}?)? to`,
      ),
      read: place,
      tense: "future",
      timed: true,
    },
    {
      predicate: "lives_in",
      words: words(`${my} (?:home ?town|home city|city|town) is(?: now)?`),
      read: place,
    },
    {
      predicate: "lives_in",
      kind: "end",
      words: words(`${i} (?:no longer (?:live|reside)|(?:don['’]?t|do not) live) in`),
      read: place,
    },
    {
      predicate: "lives_in",
      kind: "end",
      words: words(`${i} (?:used to live|lived) in`),
      read: place,
    },
    {
      predicate: "lives_in",
      kind: "end",
      words: words(`${have} ${adverbs}moved (?:away from|out of)`),
      read: place,
    },
    {
      predicate: "comes_from",
      words: words(`(?:${am}|${i} come) (?:originally )?from`),
      read: place,
    },
    { predicate: "born_in", words: words(`${i} was born (?:and raised )?in`), read: place },
    {
      predicate: "birthday",
      words: words(
        `(?:${i} was born on|${my} (?:birthday|date of birth|birth date|dob) (?:is|:))(?: on)?`,
      ),
      read: day,
    },
    {
      predicate: "works_at",
      words: words(
        `(?:${i} ${adverbs}work|${am} ${adverbs}(?:working|employed)|${have} (?:been working|worked)) ${adverbs}(?:at|for|with|by)`,
      ),
      read: organisation,
    },
    {
      predicate: "works_at",
      words: words(
        `${have} ${adverbs}(?:joined|started (?:working )?(?:at|with|for)|started a (?:new )?job (?:at|with)|got a (?:new )?job (?:at|with))`,
      ),
      read: organisation,
    },
    {
      predicate: "works_at",
      words: words(`${my} (?:new |current )?(?:employer|company) is(?: called)?`),
      read: organisation,
    },
    {
      predicate: "works_at",
      kind: "end",
      words: words(
        `${i} (?:no longer work|(?:don['’]?t|do not) work|used to work|worked|${adverbs}stopped working|${adverbs}quit working|${adverbs}quit my job|${adverbs}resigned) ${adverbs}(?:at|for|with|from)`,
      ),
      read: organisation,
    },
    {
      predicate: "works_at",
      kind: "end",
      words: words(`${have} ${adverbs}(?:left|quit|resigned from)`),
      read: organisation,
    },
    {
      predicate: "job_title",
      words: words(`(?:${i} ${adverbs}work|${am} ${adverbs}working) as (?:a|an|the)`),
      read: thing,
    },
    {
      predicate: "email",
      words: words(
        `${my} (?:new |current |correct |work |private |personal |preferred |main )*e-?mail(?: address)?(?: is|:|['’]s| has changed to| changed to)(?: now)?`,
      ),
      read: mail,
    },
    {
      predicate: "email",
      words: words(
        `(?:reach|email|e-mail|contact|write(?: to)?|mail) ${me}(?: at| on| under| via(?: email)?(?: at)?)`,
      ),
      read: mail,
    },
    {
      predicate: "email",
      kind: "end",
      words: words(`${i} (?:no longer use|(?:don['’]?t|do not) use)`),
      read: mail,
    },
    {
      predicate: "phone",
      words: words(
        `${my} (?:new |current |correct |work |private |personal |preferred |main )*(?:phone|mobile|cell|telephone|contact|cell ?phone|mobile phone)(?: number| no\\.?)?(?: is|:|['’]s| has changed to| changed to)(?: now)?`,
      ),
      read: phone,
    },
    {
      predicate: "phone",
      words: words(`(?:reach|call|text|ring|phone|contact) ${me}(?: back)?(?: at| on| under)`),
      read: phone,
    },
    {
      predicate: "phone",
      kind: "end",
      words: words(`${i} (?:no longer use|(?:don['’]?t|do not) use)`),
      read: phone,
    },
    {
      predicate: "preferred_name",
      words: words(
        `(?:(?:please|just|you can|everyone calls|people|friends) )*(?:call ${me}|${i} go by|${i} prefer to be called)`,
      ),
      read: given,
    },
    {
      predicate: "name",
      words: words(`${my} (?:full |real )?name(?: is|['’]s)`),
      read: named("person"),
    },
    { predicate: "spouse", words: words(`${am} (?:now )?married to`), read: named("person") },
    { predicate: "prefers", words: words(`${i} ${adverbs}prefer`), read: thing },
    { predicate: "likes", words: words(`${i} ${adverbs}(?:like|love|enjoy|adore)`), read: thing },
    {
      predicate: "likes",
      kind: "end",
      words: words(`${i} (?:no longer|don['’]?t|do not) (?:like|love|enjoy)`),
      read: thing,
    },
    { predicate: "dislikes", words: words(`${i} ${adverbs}(?:hate|dislike|detest)`), read: thing },
    {
      predicate: "allergic_to",
      words: words(`${am} ${adverbs}(?:(?:severely|very|highly|terribly|badly) )?allergic to`),
      read: thing,
      list: true,
    },
    {
      predicate: "allergic_to",
      words: words(`${have} an? (?:severe |bad |strong )?allergy to`),
      read: thing,
      list: true,
    },
    {
      predicate: "allergic_to",
      kind: "end",
      words: words(`${am} (?:no longer|not) allergic to`),
      read: thing,
    },
    {
      predicate: "diet",
      words: words(`${am}(?:\\s+(?:a|an|now|mostly|strictly|strict|also))*`),
      read: diet,
    },
    {
      predicate: "plan",
      words: words(
        `(?:${am} ${adverbs}on|${have} ${adverbs}(?:upgraded|downgraded|switched|changed) to|${i} ${adverbs}(?:pay for|use)) the`,
      ),
      read: literal(
        /[\p{L}\p{N}+]+(?: [\p{L}\p{N}+]+)?(?= (?:plan|tariff|subscription|package|tier)\b)/iu,
        (said) => said.toLowerCase(),
      ),
    },
    {
      predicate: "speaks",
      words: words(`${i} ${adverbs}(?:speak|prefer to speak)`),
      read: literal(languages, (said) => said.toLowerCase()),
    },
    {
      predicate: "speaks",
      words: words(`${my} (?:first |native |preferred |mother )?(?:language|tongue) is`),
      read: literal(languages, (said) => said.toLowerCase()),
    },
    {
      predicate: "owns",
      words: words(
        `(?:${i} ${adverbs}(?:own|have|drive|bought|purchased|got)|${have} (?:bought|purchased|got|ordered)|${i} ordered)(?: a| an| the| two| three| another| my)?(?: new)?`,
      ),
      read: named("product"),
    },
    {
      predicate: "uses",
      words: words(`(?:${i} ${adverbs}use|${am} ${adverbs}using)(?: a| an| the| my| your)?`),
      read: named("product"),
    },
    {
      predicate: "customer_since",
      words: words(
        `${have} been (?:a customer|a client|a member|a subscriber|with you)(?: (?:of yours|here))?`,
      ),
      read: day,
    },
  ];
}

const anymore = /^[^,;.]{0,40}?\b(?:any ?more|any longer|no more)\b/i;
const denies = /(?:don['’]?t|do not|not)\b/i;

/** What the templates of a person find in a sentence. */
export function templateReader(person: Person) {
  const templates = templatesOf(person);
  return (sentence: ReadSentence, authority: Authority): readonly FoundClaim[] =>
    templates.flatMap((template) => matches(template, sentence, authority));
}

function matches(
  {
    predicate,
    kind = "assert",
    words,
    read,
    tense = "past",
    list = false,
    timed = false,
  }: Template,
  sentence: ReadSentence,
  authority: Authority,
): readonly FoundClaim[] {
  const { text } = sentence;
  return Array.from(text.matchAll(words)).flatMap((match) => {
    const at = match.index + match[0].length;
    const found = read(sentence, at);
    if (!found || !isStated(text, match.index, match.index)) return [];
    const rest = text.slice(found.end);
    const reach = clauseEnd(text, found.end);
    // "I don't live there" says little; "I don't live there any more" says that it ended.
    if (kind === "end" && denies.test(match[0]) && !anymore.test(rest)) return [];
    if (kind === "assert" && anymore.test(rest)) return [];
    const times = timesIn(sentence, [found.end, reach], tense);
    const early = timesIn(sentence, [leadStart(text, match.index), match.index], tense);
    const when = (times.validFrom ?? times.validTo) ? times : { ...early, end: found.end };
    if (timed && when.validFrom === undefined) return [];
    const past =
      /\b(?:lived|worked|used to)\b/i.test(match[0]) && !/\bhave\b|['’]ve/i.test(match[0]);
    const bounded = when.validFrom !== undefined && when.validTo !== undefined;
    const base = {
      predicate,
      value: found.value,
      start: match.index,
      end: Math.max(found.end, times.end),
    };
    // "I worked there in 2019" says neither when it began nor that it ended then.
    if (past && kind === "end" && when.validFrom !== undefined && !bounded) return [];
    const asKind = past && bounded ? "assert" : kind;
    // Until a day in the past, from nobody knows when: it ended.
    const over =
      asKind === "assert" &&
      when.validFrom === undefined &&
      when.validTo !== undefined &&
      new Date(when.validTo) <= sentence.saidAt;
    const first = claimOf(sentence, authority, {
      ...base,
      kind: over ? "end" : asKind,
      times: when,
    });
    if (!list) return [first];
    return [
      first,
      ...further(sentence, read, found.end).map(({ value, end }) => ({
        ...first,
        value,
        spanEnd: sentence.start + end,
      })),
    ];
  });
}

function further(sentence: ReadSentence, read: Reader, from: number) {
  const found: { value: FoundValue; end: number }[] = [];
  for (let at = from; ;) {
    const link = /^(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)(?!i\b)/i.exec(
      sentence.text.slice(at),
    );
    const next = link && read(sentence, at + link[0].length);
    if (!next) return found;
    found.push(next);
    at = next.end;
  }
}

/** Where what belongs to a match ends: at the next clause. */
function clauseEnd(text: string, from: number): number {
  const next =
    /[;()\u25a0]|,\s+(?:and|but|so|because|which|where|i)\b|\b(?:but|because|although|and (?:i|my|we))\b/i.exec(
      text.slice(from),
    );
  return next ? from + next.index : text.length;
}

/** "In 2019 I moved to Rome": a date may open the clause. */
function leadStart(text: string, before: number): number {
  const led = /(?:^|[;.]|\b(?:and|but)\b)(?:(?!\b(?:and|but)\b)[^;.])*$/i.exec(
    text.slice(0, before),
  );
  return led ? led.index : before;
}

const relation = new RegExp(
  `(?<![\\p{L}'’])(?:my|our)\\s+(?:\\w+\\s+)?(${relations})(?:['’]s name is|\\s+is (?:called|named)|\\s+(?:called|named)|,)?\\s+`,
  "giu",
);
const ofThem =
  /^\s*,?\s*(?:(?:now|currently|also|still)\s+)*(lives? in|moved to|works? (?:at|for)|joined)\s+/i;
const predicates: Readonly<Record<string, { predicate: string; type: EntityType }>> = {
  live: { predicate: "lives_in", type: "place" },
  move: { predicate: "lives_in", type: "place" },
  work: { predicate: "works_at", type: "organisation" },
  join: { predicate: "works_at", type: "organisation" },
};

/** "My sister Anna lives in Rome": who she is, and where she lives. */
export function relationsIn(sentence: ReadSentence, authority: Authority): readonly FoundClaim[] {
  const { text } = sentence;
  return Array.from(text.matchAll(relation)).flatMap((match) => {
    const at = match.index + match[0].length;
    const person = nameAt(sentence, at, "person");
    if (!person || !isStated(text, match.index, match.index)) return [];
    const who: Named = { kind: "mention", name: person.name, type: "person" };
    const claims = [
      claimOf(sentence, authority, {
        predicate: (match[1] ?? "").toLowerCase().replace("é", "e"),
        value: who,
        start: match.index,
        end: person.end,
      }),
    ];
    return [...claims, ...aboutThem(sentence, authority, who, match.index, person.end)];
  });
}

/** "Anna Silva works at Acme", of anybody with a name. */
export function peopleIn(sentence: ReadSentence, authority: Authority): readonly FoundClaim[] {
  if (!/\b(?:lives? in|moved to|works? (?:at|for)|joined)\b/i.test(sentence.text)) return [];
  return sentence.names().flatMap((name) => {
    if (
      name.type !== "person" ||
      /\b(?:my|our)\s+[\w ]{2,30}$/i.test(sentence.text.slice(0, name.start))
    )
      return [];
    const who: Named = { kind: "mention", name: name.name, type: "person" };
    return aboutThem(sentence, authority, who, name.start, name.end);
  });
}

function aboutThem(
  sentence: ReadSentence,
  authority: Authority,
  who: Named,
  start: number,
  end: number,
): readonly FoundClaim[] {
  const { text } = sentence;
  const said = ofThem.exec(text.slice(end));
  const [verb = ""] = (said?.[1] ?? "").toLowerCase().match(/live|move|work|join/) ?? [];
  const meant = predicates[verb];
  if (!said || !meant || !isStated(text, start, start)) return [];
  const value = nameAt(sentence, end + said[0].length, meant.type);
  if (!value) return [];
  const times = timesIn(sentence, [value.end, clauseEnd(text, value.end)], "past");
  return [
    claimOf(sentence, authority, {
      subject: who,
      predicate: meant.predicate,
      value: { kind: "mention", name: value.name, type: meant.type },
      times,
      start,
      end: Math.max(value.end, times.end),
    }),
  ];
}

/** Orders, tickets and the like, by the tenant's own patterns. */
export function identifiersIn(sentence: ReadSentence, authority: Authority): readonly FoundClaim[] {
  return sentence.context.identifiers.flatMap((identifier) =>
    identifier.in(sentence.text).flatMap(({ value, start, end }) => {
      if (!isStated(sentence.text, start, start)) return [];
      const found = {
        predicate: identifier.predicate,
        value: { kind: "literal", json: value } as const,
      };
      return [claimOf(sentence, authority, { ...found, start, end, confidence: 0.9 })];
    }),
  );
}
