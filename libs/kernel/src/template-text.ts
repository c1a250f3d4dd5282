import { Fault } from "./fault.ts";

/**
 * A piece of a template: literal text, or a name to be resolved. A name's segments are properties of
 * objects and, as a number, items of lists: "order.items.0.title" and "order.items[0].title" are one.
 */
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "name"; readonly name: string };

const nameShape = /^[A-Za-z_][A-Za-z0-9_-]*(?:\.(?:[A-Za-z_][A-Za-z0-9_-]*|\d+)|\[\d+\])*$/;

/**
 * Splits template text at its {names}; {{ and }} are literal braces.
 * Throws an "invalid" Fault with reason TEMPLATE_SYNTAX that says what is wrong and at which character.
 */
export function parseTemplate(text: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  let literal = "";
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if ((char === "{" || char === "}") && text.charAt(at + 1) === char) {
      literal += char;
      at += 2;
    } else if (char === "{") {
      const end = text.indexOf("}", at);
      const name = end < 0 ? "" : text.slice(at + 1, end).trim();
      if (end < 0)
        throw syntax(`"{" at character ${at + 1} is never closed; write {{ for a literal brace`);
      if (!nameShape.test(name)) throw syntax(`"{${name}}" at character ${at + 1} is not a name`);
      if (literal) parts.push({ kind: "text", text: literal });
      literal = "";
      parts.push({ kind: "name", name });
      at = end + 1;
    } else if (char === "}") {
      throw syntax(`"}" at character ${at + 1} closes nothing; write }} for a literal brace`);
    } else {
      literal += char;
      at += 1;
    }
  }
  if (literal) parts.push({ kind: "text", text: literal });
  return parts;
}

/**
 * The text with each name's value in its place, and the names that have none. Values are text: braces
 * in them are never read as names.
 */
export function filledIn(
  parts: readonly TemplatePart[],
  valueOf: (name: string) => string | undefined,
): { readonly text: string; readonly unresolved: readonly string[] } {
  const unresolved = new Set<string>();
  const text = parts.map((part) => {
    if (part.kind === "text") return part.text;
    const value = valueOf(part.name);
    if (value === undefined) unresolved.add(part.name);
    return value ?? "";
  });
  return { text: text.join(""), unresolved: [...unresolved] };
}

/** Whether it can stand between braces. */
export function isTemplateName(text: string): boolean {
  return nameShape.test(text);
}

/** The names that a template needs, each once, in order of first use. */
export function namesIn(text: string): readonly string[] {
  const names = parseTemplate(text).flatMap((part) => (part.kind === "name" ? [part.name] : []));
  return [...new Set(names)];
}

/** Names split into their segments: "a.b[0]" gives ["a", "b", "0"]. */
export function segmentsOf(name: string): readonly string[] {
  return name.replaceAll(/\[(\d+)\]/g, ".$1").split(".");
}

function syntax(message: string): Fault {
  return new Fault("invalid", message, { reason: "TEMPLATE_SYNTAX" });
}
