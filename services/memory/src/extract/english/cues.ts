// Without the libraries that read names and dates: this decides whether they are needed at all.

/** Only sentences with one of these say something that a template knows: the rest costs nothing. */
export const cue =
  /\b(?:liv(?:e|es|ed|ing)|resid|based|mov(?:e|ed|ing)|relocat|born|birth|work|employ|join|job|company|left|quit|resign|e-?mail|mail|write|phone|mobile|cell|number|call|reach|contact|ring|text|go by|name|married|prefer|like|love|enjoy|adore|hate|dislike|detest|allerg|vegan|vegetarian|pescatarian|lactose|gluten|c(?:o)?eliac|plan|tariff|subscription|package|tier|speak|language|tongue|own|have|drive|bought|purchased|got|ordered|us(?:e|ing)|been|staying|from|home|city|town|meant|should have said|should be|correction|oops|actually|sorry,? not|no,? not|wife|husband|spouse|partner|fianc|friend|mother|mum|mom|father|dad|sister|brother|daughter|son|grand|aunt|uncle|cousin|niece|nephew|mate|neighbou?r|boss|manager|supervisor|colleague|coworker|assistant|doctor|lawyer|accountant|landlord)/i;
export const speaker = /\b(?:i|i['’]\w+|im|ive|my|me|our|we|you|your)\b/i;

const common =
  /\b(?:the|is|are|am|was|i|i['’]m|my|you|your|and|to|of|in|it|not|have|has|for|on|with|do|does|this|that|please|can|at|me|we|from|but|be|an?|hello|hi|thanks|call|reach)\b/gi;
const foreign =
  /\b(?:der|die|das|und|ist|nicht|ich|wohne|mein|meine|el|los|las|es|que|mi|vivo|una?|de|en|je|suis|le|les|des|et|est|pas|mon|ma|habite|il|lo|sono|non|che|abito|nel|jestem|moja|nie|ik|het|een|niet|woon|mijn|eu|moro|meu|minha|não|jag|och|inte)\b|[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}\p{Script=Hangul}\p{Script=Thai}]/giu;

/** Whether a text is English, as far as short texts tell. */
export function isEnglish(text: string): boolean {
  const own = text.match(common)?.length ?? 0;
  return own > 0 && own >= 1.5 * (text.match(foreign)?.length ?? 0);
}
