// A mark that ends a sentence counts only with space after it: "3.5" and "e.g. " are worth a wait,
// for holding back a little longer is harmless and splitting too early is not.
const ending = /[.!?…。！？]["'”’)\]]*[^\S\ufeff]+|\n+/g;

/** The sentences at the beginning of a text that are certainly complete, with the space after them. */
export function completeSentences(text: string): readonly string[] {
  const sentences: string[] = [];
  let start = 0;
  for (const match of text.matchAll(ending)) {
    const end = match.index + match[0].length;
    sentences.push(text.slice(start, end));
    start = end;
  }
  return sentences;
}
