/** A sentence in its text: `text` is masked where it is quoted, and as long as the original. */
export interface Sentence {
  readonly text: string;
  readonly start: number;
}

/** Stands for what is quoted: no pattern knows it. */
const mask = "\u25a0";

const quotes = [
  /"[^"]*"/g,
  /[\u201c\u201e][^\u201c\u201d\u201e]*[\u201c\u201d]/g,
  /\u00ab[^\u00bb]*\u00bb/g,
  // Single quotes are apostrophes, too: a quotation begins after a space and ends before one.
  /(?<=^|[\s(:,])['\u2018](?=\S)[^'\u2018\u2019\n]*(?:['\u2019](?=\p{L})[^'\u2018\u2019\n]*)*['\u2019](?=$|[\s).,;:!?])/gu,
  /`[^`]*`/g,
  // What is quoted line by line, and all of a message that is forwarded or answered to.
  /^[ \t]*>.*$/gm,
  /^-{2,} ?(?:original|forwarded) message[\s\S]*/gim,
  /^on .{4,80} wrote:[\s\S]*/gim,
];

/** The text with a mask over all that somebody else may have said. */
export function withoutQuotations(text: string): string {
  let masked = text;
  for (const quote of quotes)
    masked = masked.replace(quote, (quoted) => quoted.replace(/[^\n]/g, mask));
  // A quotation that is never closed reaches to its end of the line.
  return masked.replace(/["\u201c\u201e\u00ab][^\n]*/g, (quoted) => mask.repeat(quoted.length));
}

/** After these a full stop ends no sentence. */
const abbreviation =
  /(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|no|nr|vs|etc|e\.g|i\.e|inc|ltd|co|corp|jr|sr|[a-z])\.$/i;

export function sentencesOf(text: string): readonly Sentence[] {
  const found: Sentence[] = [];
  let start = 0;
  const end = (at: number) => {
    const raw = text.slice(start, at);
    const led = raw.length - raw.trimStart().length;
    if (raw.trim() !== "") found.push({ text: raw.trim(), start: start + led });
    start = at;
  };
  for (const match of text.matchAll(/\n+|[.!?\u2026]+["'\u2019\u201d)]*(?=\s|$)/gu)) {
    const stop = match.index + match[0].length;
    if (match[0] === "." && abbreviation.test(text.slice(start, stop))) continue;
    end(stop);
  }
  end(text.length);
  return found;
}
