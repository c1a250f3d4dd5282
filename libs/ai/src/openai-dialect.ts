import type { APIError } from "openai";
import { messageIn } from "./openai-fault.ts";

/**
 * What a server or a model understands of the chat API. There is no way to ask: one begins with what
 * most do, and what is refused is left out from then on.
 */
export interface Dialect {
  /** How an answer is held to a shape: by a schema, as any JSON, or by words alone. */
  readonly json: "schema" | "object" | "words";
  readonly maxTokens: "max_completion_tokens" | "max_tokens";
  /** Models that reason take none. */
  readonly temperature: boolean;
  /** Whether tokens are counted in a stream, when asked for. */
  readonly usage: boolean;
}

export function firstDialect(baseUrl: string): Dialect {
  // OpenAI's newer models refuse the old name; most other servers know nothing else.
  const knowsNewName = /\.(openai|azure)\.com$/.test(new URL(baseUrl).hostname);
  return {
    json: "schema",
    maxTokens: knowsNewName ? "max_completion_tokens" : "max_tokens",
    temperature: true,
    usage: true,
  };
}

/** Each part of a dialect is changed at most once or twice: so many refusals are about it. */
export const refusalsMax = 5;

const jsonNext = { schema: "object", object: "words", words: undefined } as const;

/** The dialect without what the server has just refused; undefined when it refused something else. */
export function adapted(
  dialect: Dialect,
  error: APIError,
  sent: { readonly format: boolean; readonly temperature: boolean },
): Dialect | undefined {
  if (error.status !== 400 && error.status !== 422) return undefined;
  const said = `${error.param ?? ""} ${messageIn(error) ?? ""}`;
  const json = jsonNext[dialect.json];
  // Some servers say nothing that could be read; a shape is what most of those can't do.
  const aboutShape = /response_format|json_schema|json_object|guided|grammar|structured/i;
  if (sent.format && json && (said.trim() === "" || aboutShape.test(said)))
    return { ...dialect, json };
  if (sent.temperature && dialect.temperature && /temperature/i.test(said))
    return { ...dialect, temperature: false };
  if (dialect.usage && /stream_options|include_usage/i.test(said))
    return { ...dialect, usage: false };
  if (/max_completion_tokens/i.test(said)) {
    const other =
      dialect.maxTokens === "max_tokens" ? "max_completion_tokens" : ("max_tokens" as const);
    return { ...dialect, maxTokens: other };
  }
  return undefined;
}
