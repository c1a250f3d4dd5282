import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { DescMessage, JsonValue, Message } from "@bufbuild/protobuf";
import { messageJson } from "./message-text.ts";
import { errorReply } from "./error-reply.ts";

/** How a stream of messages is written into one response. */
export interface StreamFormat {
  readonly contentType: string;
  readonly message: (name: string, json: JsonValue, number: number) => string;
  /** What keeps a quiet connection from being taken for a dead one. */
  readonly heartbeat: string;
}

export const serverSentEvents: StreamFormat = {
  contentType: "text/event-stream; charset=utf-8",
  message: (name, json, number) =>
    `id: ${number}\nevent: ${name}\ndata: ${JSON.stringify(json)}\n\n`,
  heartbeat: ": still here\n\n",
};

export const jsonLines: StreamFormat = {
  contentType: "application/x-ndjson; charset=utf-8",
  message: (name, json) => `${JSON.stringify({ [name]: json })}\n`,
  heartbeat: "\n",
};

export interface StreamOptions {
  readonly format: StreamFormat;
  readonly schema: DescMessage;
  readonly heartbeatMs: number;
  readonly traceId: string;
}

/**
 * Writes the messages as they come. A failure before the first is thrown, so that it can be told by
 * a status; after that it is the last event, named "error".
 */
export async function sendStream(
  res: ServerResponse,
  messages: AsyncIterable<Message>,
  { format, schema, heartbeatMs, traceId }: StreamOptions,
): Promise<void> {
  let number = 0;
  const begin = (): void => {
    if (res.headersSent) return;
    res.writeHead(200, {
      "content-type": format.contentType,
      // Proxies would otherwise collect the pieces and hand them on together.
      "x-accel-buffering": "no",
    });
  };
  const heart = setInterval(() => {
    begin();
    if (!res.writableNeedDrain) res.write(format.heartbeat);
  }, heartbeatMs);
  try {
    for await (const message of messages) {
      begin();
      const { name, json } = eventOf(schema, message);
      await written(res, format.message(name, json, ++number), heartbeatMs * missedHeartbeats);
    }
    begin();
    res.end();
  } catch (error) {
    if (!res.headersSent) throw error;
    const { body } = errorReply(error, traceId);
    // The body is made of texts alone.
    if (!res.destroyed)
      res.end(format.message("error", body.error as unknown as JsonValue, ++number));
    throw error;
  } finally {
    clearInterval(heart);
  }
}

/** A message that is one of several events is told by the event's name alone. */
function eventOf(schema: DescMessage, message: Message): { name: string; json: JsonValue } {
  const json = messageJson(schema, message);
  const name = schema.oneofs[0]?.fields.map((field) => field.jsonName).find((one) => one in json);
  return name === undefined ? { name: "message", json } : { name, json: json[name] ?? null };
}

/** A reader who takes nothing for so many heartbeats is cut off: it holds a place among all calls. */
const missedHeartbeats = 4;

/** Waits for a slow reader, so that what it has not read yet does not pile up here. */
async function written(res: ServerResponse, text: string, patienceMs: number): Promise<void> {
  if (res.write(text) || res.destroyed) return;
  const patience = setTimeout(() => res.destroy(), patienceMs);
  await Promise.race([once(res, "drain"), once(res, "close")]);
  clearTimeout(patience);
}
