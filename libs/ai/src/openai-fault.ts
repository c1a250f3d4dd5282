import { APIConnectionError, APIConnectionTimeoutError, APIError, OpenAIError } from "openai";
import { modelFault } from "./language-model.ts";
import { isBrokenConnection, type Provided, providerFault } from "./provider-fault.ts";

/** What a failed call to the provider means. An error that is not the provider's is given back. */
export function openaiFault(error: unknown, provided: Provided): unknown {
  if (error instanceof APIConnectionTimeoutError)
    return modelFault("MODEL_TIMEOUT", "the model provider does not answer", { cause: error });
  if (error instanceof APIConnectionError)
    return modelFault("MODEL_UNAVAILABLE", "the model provider can't be reached", { cause: error });
  if (error instanceof APIError) {
    const code = error.code ?? error.type ?? undefined;
    return providerFault(
      {
        // Inside a stream some servers give the status as the error's code.
        status: error.status ?? numeric(code),
        code,
        message: messageIn(error),
        headers: error.headers,
        cause: error,
      },
      provided,
    );
  }
  if (isBrokenConnection(error))
    return modelFault("MODEL_UNAVAILABLE", "the connection to the model provider broke", {
      cause: error,
    });
  if (error instanceof SyntaxError || error instanceof OpenAIError)
    return modelFault("MODEL_UNAVAILABLE", "the model provider's stream is garbled", {
      cause: error,
    });
  return error;
}

function numeric(code: unknown): number | undefined {
  const status = Number(code);
  return Number.isInteger(status) && status >= 400 ? status : undefined;
}

/** The provider's own sentence; the client's message may be the whole body. */
export function messageIn({ error }: APIError): string | undefined {
  const message: unknown =
    typeof error === "object" && "message" in error ? error.message : undefined;
  return typeof message === "string" ? message : undefined;
}
