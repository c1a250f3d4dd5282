/**
 * Messages that are nothing but the wish to stop. Narrow on purpose: "cancel my order" is a wish for
 * something else, and leaving a scenario by mistake loses what the customer has told us.
 */
const exits = [
  /^(?:please |ok(?:ay)?,? )?(?:cancel|stop|quit|exit|abort)(?: (?:this|that|it|please|now|thanks|thank you|everything))*$/,
  /^(?:no,? )?(?:never ?mind|forget (?:it|about it|that)|leave it|let'?s stop|i give up|drop it)(?: (?:please|then|thanks|thank you|now))*$/,
  /^(?:i )?(?:changed my mind|do ?n[o']?t want (?:this|that|it) any ?more|want to stop)$/,
  /^(?:let'?s )?start (?:over|again)(?: please)?$/,
];

const lengthMax = 60;

/** How sure it is, 0 to 1, that a message asks to leave what is going on; by its words alone. */
export function exitSignal(text: string): number {
  if (text.length > lengthMax) return 0;
  const clauses = text
    .toLowerCase()
    .replaceAll("’", "'")
    .split(/[.!,;:]+/)
    .map((clause) => clause.replaceAll(/\s+/g, " ").trim())
    .filter((clause) => clause !== "");
  const isExit = (clause: string) => exits.some((exit) => exit.test(clause));
  // "Stop, I don't want this any more" says it twice; "stop, where is my parcel" is something else.
  const leaves = isExit(clauses.join(" ")) || (clauses.length > 0 && clauses.every(isExit));
  return leaves ? 0.95 : 0;
}
