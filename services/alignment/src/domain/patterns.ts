import { RE2JS } from "re2js";

/**
 * A regular expression of an operator, in RE2 syntax: it takes linear time on any text, so that no
 * message of a customer can stall a turn.
 */
export interface Pattern {
  test(text: string): boolean;
  /**
   * Of the first match the first group that takes part in it, so that alternatives may each have their
   * own; the whole match when the pattern has no group.
   */
  capture(text: string): string | undefined;
}

const compiled = new Map<string, Pattern | undefined>();
const compiledMax = 2_000;

/** The pattern, or undefined when it is not in RE2 syntax. */
export function pattern(source: string): Pattern | undefined {
  if (compiled.has(source)) return compiled.get(source);
  // Patterns come from bundles: a full cache is a sign of many versions, and starting anew is cheap.
  if (compiled.size >= compiledMax) compiled.clear();
  const made = compile(source);
  compiled.set(source, made);
  return made;
}

/**
 * Whether nothing that the pattern finds can hold a space or a line's end, nor depends on where the
 * text ends. Told by its parts: what is not surely so is taken not to be.
 */
export function matchesNoSpace(source: string): boolean {
  return spaceless.test(source);
}

// Letters and signs, \d \w \b and escaped signs, (?i), groups, and classes of ASCII that name what is in them.
const spaceless =
  /^(?:\(\?(?:i\)|:)|\\[dwb]|\\[^\w\s]|\[(?!\^)(?:\\[dw]|[!-Z_-~])+\]|[^\s.\\^$[\]\u0080-\u00a0])*$/u;

function compile(source: string): Pattern | undefined {
  let re2: RE2JS;
  try {
    re2 = RE2JS.compile(source);
  } catch {
    return undefined; // Publishing refuses such patterns; callers say what they could not check.
  }
  return {
    test: (text) => re2.test(text),
    capture(text) {
      const match = re2.matcher(text);
      if (!match.find()) return undefined;
      if (match.groupCount() === 0) return match.group(0) ?? undefined;
      for (let group = 1; group <= match.groupCount(); group++) {
        const found = match.group(group);
        if (found !== null) return found;
      }
      return undefined;
    },
  };
}
