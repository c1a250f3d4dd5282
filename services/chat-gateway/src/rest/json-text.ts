import type { JsonValue } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";

/** Reads JSON. Throws INVALID_JSON with the line and column at which it stops being JSON. */
export function parseJson(text: string): JsonValue {
  try {
    // JSON.parse gives JSON.
    return JSON.parse(text) as JsonValue;
  } catch {
    // The error's own message quotes the text, which may be a customer's: it goes nowhere.
    const offset = firstWrongOffset(text);
    const before = text.slice(0, offset).split("\n");
    const [line, column] = [before.length, (before.at(-1)?.length ?? 0) + 1];
    const found = offset < text.length ? "" : ": it ends too early";
    throw new Fault("invalid", `the body is no JSON, at line ${line}, column ${column}${found}`, {
      reason: "INVALID_JSON",
      metadata: { line: String(line), column: String(column), offset: String(offset) },
    });
  }
}

const space = /[ \t\n\r]*/y;
const token = new RegExp(
  [
    /([{}[\],:])/,
    // oxlint-disable-next-line no-control-regex -- JSON forbids them inside of strings
    /("[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*")/,
    /(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "y",
);

/** What may come next: JSON.parse says where it failed only in some of its messages. */
type Expected = "value" | "first-item" | "first-key" | "key" | "colon" | "comma" | "end";

/** Where a text stops being the beginning of JSON. */
export function firstWrongOffset(text: string): number {
  const open: ("{" | "[")[] = [];
  let expected: Expected | undefined = "value";
  let offset = 0;
  while (expected) {
    space.lastIndex = offset;
    space.exec(text);
    offset = space.lastIndex;
    token.lastIndex = offset;
    const match: RegExpExecArray | null = token.exec(text);
    expected = match ? after(match, expected, open) : undefined;
    if (expected) offset = token.lastIndex;
  }
  return offset;
}

function after(
  [, mark, text, plain]: readonly (string | undefined)[],
  expected: Expected,
  open: ("{" | "[")[],
): Expected | undefined {
  const valueMay = expected === "value" || expected === "first-item";
  const ended = (): Expected => (open.length > 0 ? "comma" : "end");
  if (text !== undefined && (expected === "key" || expected === "first-key")) return "colon";
  if (text !== undefined || plain !== undefined) return valueMay ? ended() : undefined;
  switch (mark) {
    case "{":
    case "[":
      if (!valueMay) return undefined;
      open.push(mark);
      return mark === "{" ? "first-key" : "first-item";
    case "}":
    case "]": {
      const matching = open.at(-1) === (mark === "}" ? "{" : "[");
      const may = expected === "comma" || expected === (mark === "}" ? "first-key" : "first-item");
      if (!matching || !may) return undefined;
      open.pop();
      return ended();
    }
    case ":":
      return expected === "colon" ? "value" : undefined;
    case ",":
      if (expected !== "comma") return undefined;
      return open.at(-1) === "{" ? "key" : "value";
    case undefined:
    default:
      return undefined;
  }
}
