/**
 * Text that others wrote (customers, tools, memories, profiles), made harmless inside a prompt. What
 * opens or closes one of our blocks begins with "<", also in the shapes of it that normalisation turns
 * into one; in data it never does. A comparison with a number such as "n < 5" stays as it is.
 */
export function asData(text: string): string {
  return text.replaceAll(invisible, "").replaceAll(tagStart, "&lt;");
}

/** Characters that nobody sees and that could hide what follows a "<". */
const invisible =
  /[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]/gu;

const tagStart = /[<\uff1c\ufe64](?! ?[\d=])/gu;

/** Lines between delimiters that data in them can't close; nothing when there are no lines. */
export function block(name: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `<${name}>\n${lines.join("\n")}\n</${name}>`;
}

/** The same for lines that hold what others wrote. */
export function dataBlock(name: string, lines: readonly string[]): string {
  return block(name, lines.map(asData));
}

/** Blocks with an empty line between them, without the empty ones. */
export function blocks(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n\n");
}
