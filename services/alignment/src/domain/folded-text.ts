/**
 * The text as a reader takes it: other forms of the same letters made one, what nobody sees and marks
 * over letters that have none taken out.
 */
export function unhidden(text: string): string {
  return text
    .normalize("NFKC")
    .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, "")
    .normalize("NFKC")
    .replaceAll(/[\p{Mn}\p{Me}]/gu, "");
}

function folded(text: string): string {
  return unhidden(text).toLowerCase().replaceAll("’", "'").replaceAll(/\s+/g, " ");
}

/** The ways in which a text and a part can be compared; the part is never empty. */
function readings(text: string, part: string): readonly (readonly [string, string])[] {
  const pairs = [
    [text.toLowerCase(), part.toLowerCase()],
    [folded(text), folded(part)],
  ] as const;
  return pairs.filter(([, each]) => each !== "");
}

/** Whether a text has a part in it, whatever its letters' case, form or disguise. */
export function says(text: string, part: string): boolean {
  return readings(text, part).some(([whole, each]) => whole.includes(each));
}

/** Whether what is still to come could complete the part, begun at the text's end. */
export function maySay(text: string, part: string): boolean {
  return readings(text, part).some(([whole, each]) => {
    for (let length = Math.min(each.length - 1, whole.length); length > 0; length--)
      if (whole.endsWith(each.slice(0, length))) return true;
    return false;
  });
}
