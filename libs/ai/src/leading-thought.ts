const opening = "<think>";
const closing = "</think>";

/**
 * Leaves out what a model thinks aloud before its answer: some servers hand it over inside the text,
 * and a customer must not read it.
 */
export async function* withoutLeadingThought<T extends { readonly kind: string }>(
  parts: AsyncIterable<T | { readonly kind: "text"; readonly text: string }>,
): AsyncGenerator<T | { readonly kind: "text"; readonly text: string }, void, undefined> {
  let held = "";
  let state: "undecided" | "thinking" | "closed" | "speaking" = "undecided";
  for await (const part of parts) {
    if (!("text" in part)) {
      // An answer may end while it still looks like the beginning of a thought.
      if (state === "undecided" && held !== "") yield { kind: "text", text: held };
      yield part;
      continue;
    }
    if (state === "speaking") {
      yield part;
      continue;
    }
    held += part.text;
    if (state === "undecided") {
      const begins = held.trimStart();
      if (begins.length < opening.length && opening.startsWith(begins)) continue;
      state = begins.startsWith(opening) ? "thinking" : "speaking";
    }
    if (state === "thinking") {
      const end = held.indexOf(closing);
      if (end < 0) continue;
      held = held.slice(end + closing.length);
      state = "closed";
    }
    if (state === "closed") {
      held = held.trimStart();
      if (held === "") continue;
      state = "speaking";
    }
    yield { kind: "text", text: held };
    held = "";
  }
}
