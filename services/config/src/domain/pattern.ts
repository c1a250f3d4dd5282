import { RE2JS } from "re2js";
import { remembered } from "./remembered.ts";

/** Why the text is no regular expression in RE2's syntax, or undefined when it is one. */
export function patternError(text: string): string | undefined {
  return read(text).error;
}

const read = remembered(5_000, (text): { readonly error?: string } => {
  try {
    // The engine that turns match with: it takes linear time, so it has no lookaround.
    RE2JS.compile(text);
    return {};
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
});
