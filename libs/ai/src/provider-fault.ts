import type { Fault } from "@soldier/kernel/fault";
import { modelFault } from "./language-model.ts";

/** What a provider's answer says of a failure, in whatever words it has. */
export interface ProviderFailure {
  /** Undefined inside a stream, or when nothing came back. */
  readonly status: number | undefined;
  /** The provider's name for it, e.g. "insufficient_quota". */
  readonly code?: string | undefined;
  /** The provider's own sentence; only that of a rejected request is passed on. */
  readonly message?: string | undefined;
  readonly headers?: Headers | undefined;
  readonly cause: unknown;
}

/** Where to look, for messages. */
export interface Provided {
  readonly model: string;
  /** The table of the settings, e.g. "models.spare". Default "model". */
  readonly table?: string | undefined;
}

const refusals: ReadonlySet<string> = new Set(["content_filter", "content_policy_violation"]);
const withoutFunds: ReadonlySet<string> = new Set([
  "insufficient_quota",
  "billing_hard_limit_reached",
]);

/** What a failed HTTP call to a model's provider means. */
export function providerFault(
  failure: ProviderFailure,
  { model, table = "model" }: Provided,
): Fault {
  const { status, code = "", message, cause } = failure;
  const retryAfterMs = retryAfter(failure.headers);
  const options = { cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (refusals.has(code))
    return modelFault("MODEL_REFUSED", "the model's provider declines to answer this", options);
  if (withoutFunds.has(code) || status === 401 || status === 402 || status === 403)
    return modelFault(
      "MODEL_AUTH",
      `the model provider refuses the account: check api_key in the [${table}] settings ` +
        `(${keyVariable(table)}), its rights and its credit`,
      options,
    );
  if (status === 429 || code === "rate_limit_exceeded")
    return modelFault("MODEL_RATE_LIMITED", "the model provider's rate limit is reached", options);
  if (status === 503 || status === 529)
    return modelFault("MODEL_OVERLOADED", "the model provider is overloaded", options);
  if (status === 408 || status === 504)
    return modelFault("MODEL_TIMEOUT", "the model provider took too long", options);
  if (status === 404)
    return modelFault(
      "MODEL_BAD_REQUEST",
      `the model provider does not know "${model}": check model and base_url in the [${table}] settings`,
      options,
    );
  if (status !== undefined && status >= 400 && status < 500)
    return modelFault(
      "MODEL_BAD_REQUEST",
      `the model provider rejects the request: ${shortened(message) ?? `status ${status}`}`,
      options,
    );
  return modelFault("MODEL_UNAVAILABLE", "the model provider fails or can't be reached", options);
}

/** The variable that sets the table's key. */
export function keyVariable(table: string): string {
  return `SOLDIER_${table.toUpperCase().replaceAll(".", "__")}__API_KEY`;
}

/** What fetch throws when the connection breaks inside an answer; a TypeError of ours has no cause. */
export function isBrokenConnection(error: unknown): boolean {
  return error instanceof TypeError && error.cause instanceof Error;
}

/** Seconds or a date, as HTTP has it, or milliseconds, as some providers say it besides. */
export function retryAfter(headers: Headers | undefined): number | undefined {
  const exact = Number(headers?.get("retry-after-ms") ?? NaN);
  if (exact >= 0) return exact;
  const value = headers?.get("retry-after");
  if (!value) return undefined;
  const ms = Number.isNaN(Number(value)) ? Date.parse(value) - Date.now() : Number(value) * 1000;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

const messageMaxCharacters = 200;

/** Some servers quote the whole request. */
function shortened(message: string | undefined): string | undefined {
  if (message === undefined || message.length <= messageMaxCharacters) return message;
  return `${message.slice(0, messageMaxCharacters)}…`;
}
