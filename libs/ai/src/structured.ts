import { z } from "zod";
import {
  addUsage,
  type Generation,
  modelFault,
  type ModelRequest,
  type Structured,
  type StructuredRequest,
} from "./language-model.ts";

/**
 * Asks for JSON that fits the schema. An answer that does not is shown to the model once, with what
 * is wrong with it; a second misfit is MODEL_BAD_OUTPUT.
 */
export async function structured<T>(
  generate: (req: ModelRequest) => Promise<Generation>,
  req: StructuredRequest<T>,
): Promise<Structured<T>> {
  const first = await generate(req);
  const read = parse(first, req);
  if (read.success) return { ...finished(first), value: read.data, attempts: 1 };

  // An answer that was cut off would be cut off again at the same place.
  if (first.stopReason === "max-tokens")
    throw modelFault(
      "MODEL_BAD_OUTPUT",
      `the model's ${req.schemaName} is longer than the ${req.maxTokens} tokens allowed`,
    );

  const second = await generate({
    ...req,
    messages: [...req.messages, ...repair(first, read.problem)],
  });
  const reread = parse(second, req);
  if (!reread.success)
    throw modelFault("MODEL_BAD_OUTPUT", `the model gave no valid ${req.schemaName}, asked twice`, {
      cause: new Error(reread.problem),
    });
  return {
    ...finished(second),
    usage: addUsage(first.usage, second.usage),
    latencyMs: first.latencyMs + second.latencyMs,
    firstTokenMs: first.firstTokenMs,
    value: reread.data,
    attempts: 2,
  };
}

type Read<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly problem: string };

function parse<T>({ text }: Generation, { schema }: StructuredRequest<T>): Read<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message quotes the answer, which the model has before it anyway.
    return { success: false, problem: "It is not JSON." };
  }
  const read = schema.safeParse(json);
  if (read.success) return read;
  return { success: false, problem: z.prettifyError(read.error) };
}

function repair(answer: Generation, problem: string): ModelRequest["messages"] {
  const complaint = {
    role: "user",
    text: `That answer does not fit the required shape:\n${problem}\nGive the whole answer again, as JSON that fits, and nothing else.`,
  } as const;
  // Providers refuse messages without text.
  return answer.text.trim() === ""
    ? [complaint]
    : [{ role: "assistant", text: answer.text }, complaint];
}

function finished({ usage, model, latencyMs, firstTokenMs }: Generation) {
  return { usage, model, latencyMs, firstTokenMs };
}
