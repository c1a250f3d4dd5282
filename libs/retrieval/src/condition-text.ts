/** What is matched against a message: a condition in plain language, and what customers might say. */
export interface Matchable {
  readonly condition: string;
  readonly examples: readonly string[];
}

/** A text that messages are compared with, by one vector: the middle of its views'. */
export interface MatchedText {
  readonly text: string;
  /** What is embedded for it; itself the first. */
  readonly views: readonly string[];
}

/** Every text of the things, each once, in their order; empty ones are none. */
export function matchedTexts(things: readonly Matchable[]): readonly MatchedText[] {
  const found = new Map<string, MatchedText>();
  for (const { condition, examples } of things) {
    const views = conditionTexts(condition, examples.length);
    for (const each of [{ text: condition, views }, ...examples.map(asItIs)])
      if (each.text.trim() !== "" && !found.has(each.text)) found.set(each.text, each);
  }
  return [...found.values()];
}

function asItIs(text: string): MatchedText {
  return { text, views: [text] };
}

/**
 * The texts by which a condition is found. Conditions are written about customers ("the customer asks
 * how long they have to return something"), messages by customers ("how long do I have?"): a condition
 * in English also goes as a customer might say it. The condition itself is the first; one in another
 * language, or that begins otherwise, is the only one. With many examples nothing is gained: they are
 * how customers say it.
 */
export function conditionTexts(condition: string, examplesCount: number): readonly string[] {
  if (condition.trim() === "" || examplesCount >= examplesEnough) return [condition];
  const said = asSaid(condition);
  return said === undefined
    ? [condition]
    : [condition, `${said}?`, `i have a question about ${said}`];
}

const examplesEnough = 5;

/** In the first person, without what only introduces it; undefined when it is about no customer. */
function asSaid(condition: string): string | undefined {
  const bare = condition.trim().replace(when, "");
  const wish = leadIn.exec(bare);
  if (wish) return mine(bare.slice(wish[0].length)) || undefined;
  const deed = subject.exec(bare);
  if (!deed) return undefined;
  const [whole, verb = ""] = deed;
  return mine(`I ${firstPerson(verb.toLowerCase())}${bare.slice(whole.length)}`);
}

const who =
  "(?:(?:the|a|an)\\s+)?(?:customer|user|caller|visitor|client|patient|person|guest|member|someone|somebody|anyone|business|company|they)";
const when = /^(?:when(?:ever)?|if|in case|as soon as|once)\s+/i;
const subject = new RegExp(`^${who}\\s+(\\w+)`, "i");
/** "the customer asks for", "a user would like to know whether", "someone is looking for" ... */
const leadIn = new RegExp(
  `^${who}\\s+(?:` +
    "(?:is|are|seems|appears)\\s+(?:asking|looking|trying|wanting|wishing|requesting|inquiring|enquiring|wondering|interested|talking|complaining|saying|reporting)" +
    "|asks?|wants?|needs?|wishes|would like|requests?|inquires?|enquires?|says?|mentions?|wonders?|reports?|tries|talks?|has a question|describes?|complains?" +
    ")\\b\\s*(?:(?:us|you|me)\\b\\s*)?(?:to know\\b\\s*)?(?:(?:about|for|on|in|that|to|whether|if)\\b\\s*)?(?:to\\b\\s*)?",
  "i",
);

function mine(text: string): string {
  return text.trim().replaceAll(theirs, (word) => own[word.toLowerCase()] ?? word);
}

const own: Readonly<Record<string, string>> = {
  "they are": "I am",
  they: "I",
  them: "me",
  their: "my",
  theirs: "mine",
  themselves: "myself",
};
const theirs = /\b(?:they are|they|them|their|theirs|themselves)\b/gi;

function firstPerson(verb: string): string {
  const irregular = verbs[verb];
  if (irregular) return irregular;
  if (!verb.endsWith("s") || verb.endsWith("ss")) return verb;
  if (verb.endsWith("ies")) return `${verb.slice(0, -3)}y`;
  return /(?:ch|sh|ss|x|o)es$/.test(verb) ? verb.slice(0, -2) : verb.slice(0, -1);
}

const verbs: Readonly<Record<string, string>> = { is: "am", has: "have", was: "was" };
