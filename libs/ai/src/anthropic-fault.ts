import { APIConnectionTimeoutError, APIError } from "@anthropic-ai/sdk";
import type { Fault } from "@soldier/kernel/fault";
import { modelFault } from "./language-model.ts";
import { isBrokenConnection, keyVariable, type Provided, retryAfter } from "./provider-fault.ts";

/** What a failed call to the provider means. An error that is not the provider's is given back. */
export function anthropicFault(error: unknown, provided: Provided): unknown {
  if (error instanceof APIConnectionTimeoutError)
    return modelFault("MODEL_TIMEOUT", "the model provider does not answer", { cause: error });
  if (error instanceof APIError) return faultOfResponse(error, provided);
  if (isBrokenConnection(error))
    return modelFault("MODEL_UNAVAILABLE", "the connection to the model provider broke", {
      cause: error,
    });
  if (error instanceof SyntaxError)
    return modelFault("MODEL_UNAVAILABLE", "the model provider's stream is garbled", {
      cause: error,
    });
  return error;
}

/** An error inside a stream has no status, only a type. */
function faultOfResponse(error: APIError, { model, table = "model" }: Provided): Fault {
  const { status, type } = error;
  const retryAfterMs = retryAfter(error.headers);
  const options = { cause: error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (type === "overloaded_error" || status === 503 || status === 529)
    return modelFault("MODEL_OVERLOADED", "the model provider is overloaded", options);
  if (type === "rate_limit_error" || status === 429)
    return modelFault("MODEL_RATE_LIMITED", "the model provider's rate limit is reached", options);
  if (type === "timeout_error" || status === 408 || status === 504)
    return modelFault("MODEL_TIMEOUT", "the model provider took too long", options);
  if (
    type === "authentication_error" ||
    type === "permission_error" ||
    type === "billing_error" ||
    status === 401 ||
    status === 402 ||
    status === 403
  )
    return modelFault(
      "MODEL_AUTH",
      `the model provider refuses the account: check api_key in the [${table}] settings ` +
        `(${keyVariable(table)}), its rights and its credit`,
      options,
    );
  if (type === "not_found_error" || status === 404)
    return modelFault(
      "MODEL_BAD_REQUEST",
      `the model provider does not know "${model}": check model and base_url in the [${table}] settings`,
      options,
    );
  if (type === "invalid_request_error" || (status !== undefined && status < 500))
    return modelFault(
      "MODEL_BAD_REQUEST",
      `the model provider rejects the request: ${error.apiMessage ?? `status ${status}`}`,
      options,
    );
  return modelFault("MODEL_UNAVAILABLE", "the model provider fails or can't be reached", options);
}
