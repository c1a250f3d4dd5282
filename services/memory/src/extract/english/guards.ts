/**
 * What keeps a sentence's clauses from being claims: questions, hypotheses, other people's words.
 * Negation is the templates' own matter, since "no longer" says something.
 */

const opener =
  "(?:do|does|did|is|are|am|was|were|can|could|will|would|should|shall|may|might|have|has|had|" +
  "what|where|who|whom|whose|which|when|why|how)(?:n['’]t)?";
const asksAtOnce = new RegExp(
  `^(?:so|and|but|ok|okay|hi|hello|hey|well|sorry|please|also|then)?[\\s,]*${opener}\\s+` +
    "(?:i|you|we|he|she|it|they|my|your|the|there|this|that|is|are|do|does|did|can|much|many|long|far|about|if|soon)\\b",
  "i",
);
/** A question that comes after what is said: "I live in Bath, can you deliver?" */
const asksAfter = new RegExp(
  `[,;:\\u2013\\u2014-]\\s*(?:and |so |but )?${opener}\\s+(?:i|you|we|he|she|it|they|my|your|the|there|this|that)\\b`,
  "i",
);
const tag =
  /[,\s](?:right|correct|no|yes|ok|huh|eh|is(?:n['’]t)? (?:it|that)|am i|do(?:n['’]t)? (?:i|you))\s*\?+$/i;

/** How many characters of the sentence, from its beginning, are no question. */
export function statedLength(sentence: string): number {
  if (!/\?["'’”)]*$/.test(sentence)) {
    // Written without its mark, a question still begins like one.
    return asksAtOnce.test(sentence) && !/^(?:when|may|will)\b/i.test(sentence)
      ? 0
      : sentence.length;
  }
  if (asksAtOnce.test(sentence) || tag.test(sentence)) return 0;
  const after = asksAfter.exec(sentence);
  return after ? after.index : 0;
}

const conditional =
  /\b(?:if|unless|suppos(?:e|ing)|imagin(?:e|ing)|assum(?:e|ing)|provided that|what if|in case|as if|as though|let['’]s say|hypothetically|pretend(?:ing)?|whether|otherwise|for example|e\.g\.|for instance)\b/i;
const unsure =
  /\b(?:would|could|might|maybe|perhaps|possibly|probably|wish|wished|hope|hoping|hopefully|want(?:ed)? to|wan(?:na|ted)|would like|(?:['’]d) (?:like|love|rather|prefer)|thinking (?:of|about)|think (?:of|about)|consider(?:ing)?|plan(?:ning)? (?:to|on)|dream(?:s|t|ed|ing)?|should|shall|may (?!\d)(?=\w+)|try(?:ing)? to|tempted|about to|almost|nearly|ought to|were to|intend(?:ing)? to|not sure|unsure|doubt|guess)\b/i;
/** "When I move to Rome" has not happened; "when I moved to Rome in 2019" has. */
const notYet =
  /\b(?:when|once|until|till|before|after|as soon as|by the time|whenever)\s+(?:i|we|you)\s+(?:move|live|work|start|get|have|switch|change|join)\b/i;

/** Whether what comes before the end of a match, or the whole of its sentence, is not said as a fact. */
export function isHypothetical(sentence: string): boolean {
  return conditional.test(sentence) || unsure.test(sentence) || notYet.test(sentence);
}

const reported =
  /\b(?:(?:he|she|they|it|someone|somebody|people|everyone|nobody|(?:my|the|your|a|this|that|our) [\w' ]{1,30}|\p{Lu}\p{L}+)\s+(?:just\s+|also\s+|has\s+|had\s+|have\s+)?(?:said|says|say|told|tells|claim(?:s|ed)?|wrote|writes|thinks?|thought|believe[sd]?|insist(?:s|ed)?|ask(?:s|ed)|reckons?|mentioned|state[sd]|shows?|lists?|reads)|according to|apparently|allegedly|supposedly|i (?:was told|heard|read|am told)|rumou?r|you (?:said|say|told|wrote|have me|think|thought|wrongly))\b/iu;

/** "Once" before "I live in Siena". */
export function isYetToCome(before: string, said: string): boolean {
  return notYet.test(before.slice(-20) + said.slice(0, 20));
}

/** Whether it is somebody else who says so. */
export function isReported(before: string): boolean {
  return reported.test(before);
}

/** Whether the clause that ends with the match denies what the match says. */
export function isNegated(clause: string): boolean {
  return /\b(?:not|never|neither|nor|no one|nobody|hardly|barely|cannot|without)\b|n['’]t\b|\b(?:dont|doesnt|didnt|isnt|arent|wasnt|wont|cant|havent|hasnt)\b|\b(?:it['’]?s|it is) (?:false|untrue|wrong|a lie) that\b|\bfar from\b/i.test(
    clause,
  );
}
