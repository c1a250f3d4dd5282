/**
 * Text that others wrote (customers, tools, memories, profiles), made harmless inside a prompt. What
 * opens or closes one of our blocks begins with "<", also in the shapes of it that normalisation turns
 * into one; in data it never does. A comparison with a number such as "n < 5" stays as it is.
 */
export function asData(text: string): string {
  return text.replaceAll(invisible, "").replaceAll(tagStart, "&lt;");
}

/** Characters that nobody sees and that could hide what follows a "<". */
const invisible = /\p{Default_Ignorable_Code_Point}/gu;

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
