import type { IncomingMessage } from "node:http";
import type { JsonValue } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { parseJson } from "./json-text.ts";

/**
 * The request's body as JSON; undefined when there is none. Throws BODY_TOO_LARGE,
 * MEDIA_TYPE_UNSUPPORTED or INVALID_JSON.
 */
export async function jsonBody(
  req: IncomingMessage,
  sizeMaxBytes: number,
): Promise<JsonValue | undefined> {
  const announced = Number(req.headers["content-length"] ?? 0);
  if (announced > sizeMaxBytes) throw tooLarge(sizeMaxBytes);
  if (announced > 0 || req.headers["transfer-encoding"] !== undefined) requireJson(req);
  const bytes = await read(req, sizeMaxBytes);
  if (bytes.byteLength === 0) return undefined;
  requireJson(req);
  return parseJson(textOf(bytes));
}

function requireJson(req: IncomingMessage): void {
  const encoding = req.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity")
    throw unsupported(`a body compressed with ${encoding} is not taken: send it as it is`);
  const type = req.headers["content-type"] ?? "";
  if (/^application\/(?:[\w.-]+\+)?json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) return;
  const got = type === "" ? "none was given" : `not ${type}`;
  throw unsupported(`the body's content-type must be application/json, ${got}`);
}

async function read(req: IncomingMessage, sizeMaxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    // Leaving the loop must not close the connection: the refusal has to go out by it.
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      // Without an encoding set a request gives bytes.
      const bytes = chunk as Uint8Array;
      size += bytes.byteLength;
      if (size > sizeMaxBytes) throw tooLarge(sizeMaxBytes);
      chunks.push(bytes);
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("cancelled", "the request was broken off", { cause: error });
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Fault("invalid", "the body is no text in UTF-8", { reason: "INVALID_JSON" });
  }
}

function tooLarge(sizeMaxBytes: number): Fault {
  return new Fault(
    "invalid",
    `the body has more than the ${sizeMaxBytes} bytes that [chat_gateway] body_size_max_bytes allows`,
    {
      reason: "BODY_TOO_LARGE",
      metadata: { size_max_bytes: String(sizeMaxBytes) },
    },
  );
}

function unsupported(message: string): Fault {
  return new Fault("invalid", message, { reason: "MEDIA_TYPE_UNSUPPORTED" });
}
