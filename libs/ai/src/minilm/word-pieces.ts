import { z } from "zod";

/** Pieces of the vocabulary that stand for no text. */
const [unknown, opening, closing] = ["[UNK]", "[CLS]", "[SEP]"];
/** In code points; a longer word is unknown. */
const wordLengthMax = 100;

/** A text as the numbers of its pieces, at most so many, the opening and the closing one included. */
export type WordPieces = (text: string, most: number) => readonly number[];

const tokenizer = z.object({ model: z.object({ vocab: z.record(z.string(), z.int()) }) });

/** The numbers of all pieces, from the text of a model's tokenizer.json. */
export function vocabularyOf(json: string): ReadonlyMap<string, number> {
  return new Map(Object.entries(tokenizer.parse(JSON.parse(json)).model.vocab));
}

/**
 * BERT's tokens, without regard to case and accents: words and single punctuation marks, each cut into
 * the longest pieces that the vocabulary has. What looks like a special piece is text like any other.
 */
export function wordPieces(vocabulary: ReadonlyMap<string, number>): WordPieces {
  const numberOf = (piece: string) => {
    const number = vocabulary.get(piece);
    if (number === undefined) throw new Error(`the vocabulary has no ${piece}`);
    return number;
  };
  const [unknownNumber, first, last] = [numberOf(unknown), numberOf(opening), numberOf(closing)];

  /** The longest piece that the letters go on with from there, and where it ends. */
  function longest(letters: readonly string[], start: number) {
    const prefix = start > 0 ? "##" : "";
    for (let end = letters.length; end > start; end--) {
      const piece = vocabulary.get(prefix + letters.slice(start, end).join(""));
      if (piece !== undefined) return { piece, end };
    }
    return undefined;
  }

  function cut(word: string): readonly number[] {
    const letters = Array.from(word); // code points
    if (letters.length > wordLengthMax) return [unknownNumber];
    const pieces: number[] = [];
    let start = 0;
    while (start < letters.length) {
      const found = longest(letters, start);
      if (!found) return [unknownNumber];
      pieces.push(found.piece);
      start = found.end;
    }
    return pieces;
  }

  return (text, most) => {
    const numbers = [first];
    for (const [word] of plain(text).matchAll(/[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+/gu)) {
      numbers.push(...cut(word));
      if (numbers.length >= most) break;
    }
    return [...numbers.slice(0, most - 1), last];
  };
}

/** Small letters without accents; control characters are gone, and each Chinese character is a word. */
function plain(text: string): string {
  return text
    .replace(/[\t\n\r]/g, " ")
    .replace(/[\p{C}\ufffd]/gu, "")
    .replace(/\p{White_Space}/gu, " ")
    .replace(chinese, " $& ")
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .replace(/\p{CWL}/gu, (letter) => letter.toLowerCase());
}

// Those that BERT counts as such, with the gap that its tokenizer has.
const chinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
