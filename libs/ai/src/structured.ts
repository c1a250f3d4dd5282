import { z } from "zod";
import { shapeInWords } from "./json-format.ts";
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
    messages: [...req.messages, ...repair(first, read.problem, req)],
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
    json = JSON.parse(unfenced(text));
  } catch {
    // The parser's own message quotes the answer, which the model has before it anyway.
    return { success: false, problem: "It is not JSON." };
  }
  const read = schema.safeParse(json);
  if (read.success) return read;
  return { success: false, problem: z.prettifyError(read.error) };
}

const fence = /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/;

/** Models that are held to a shape by words alone like to set their JSON as code. */
function unfenced(text: string): string {
  return fence.exec(text)?.[1] ?? text;
}

/** With the shape in words: a server may have ignored that it was asked to hold the model to it. */
function repair<T>(
  answer: Generation,
  problem: string,
  req: StructuredRequest<T>,
): ModelRequest["messages"] {
  const complaint = {
    role: "user",
    text: `That answer does not fit the required shape:\n${problem}\nGive the whole answer again. ${shapeInWords(req)}`,
  } as const;
  // Providers refuse messages without text.
  return answer.text.trim() === ""
    ? [complaint]
    : [{ role: "assistant", text: answer.text }, complaint];
}

function finished({ usage, model, latencyMs, firstTokenMs }: Generation) {
  return { usage, model, latencyMs, firstTokenMs };
}
