import { Fault } from "@soldier/kernel/fault";
import { RE2JS } from "re2js";
import type { Identifier } from "./language.ts";

/** A pattern of an operator, in RE2, which takes no longer for any text. Throws when it is none. */
export function identifierOf(predicate: string, pattern: string): Identifier {
  const compiled = compile(predicate, pattern);
  return {
    predicate,
    in(text) {
      const matcher = compiled.matcher(text);
      const found: { value: string; start: number; end: number }[] = [];
      while (matcher.find()) {
        const value = matcher.group();
        if (value !== null && value !== "")
          found.push({ value, start: matcher.start(), end: matcher.end() });
      }
      return found;
    },
  };
}

function compile(predicate: string, pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new Fault(
      "precondition",
      `extract_identifiers.${predicate} in [memory] is no regular expression (RE2): ${pattern}`,
      { reason: "MEMORY_SETTINGS", cause: error },
    );
  }
}
