import { type IncomingMessage, request as http } from "node:http";
import type { Socket } from "node:net";
import { request as https } from "node:https";
import { Fault } from "@soldier/kernel/fault";
import type { Egress } from "./egress.ts";
import { answerTooLarge } from "./endpoint.ts";

export interface GuardedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /**
   * On a connection of its own: one that was kept may be closed by the other side at this very moment,
   * and then nobody knows whether the request was heard.
   */
  readonly isAlone: boolean;
}

/**
 * Sockets with a listener for errors of their own: an abort in the moment between an answer's last byte
 * and its end is an error of the bare socket, which would end the process.
 */
const heard = new WeakSet<Socket>();

/**
 * Sends a request to where it may go and resolves with the head of the answer. `sent` is called before the
 * first byte leaves. Redirects are answers.
 */
export async function guardedRequest(
  egress: Egress,
  { method, url, headers, body, isAlone }: GuardedRequest,
  signal: AbortSignal,
  sent: () => void,
): Promise<IncomingMessage> {
  const lookup = await egress.lookup(url, signal);
  return new Promise((resolve, reject) => {
    const secure = url.protocol === "https:";
    const asked = (secure ? https : http)(url, {
      method,
      headers: {
        ...(body !== undefined && { "content-length": Buffer.byteLength(body) }),
        ...headers,
      },
      agent: isAlone ? false : secure ? egress.agents["https:"] : egress.agents["http:"],
      lookup,
      signal,
    });
    asked.on("socket", (socket) => {
      if (!heard.has(socket)) socket.on("error", () => {});
      heard.add(socket);
      if (!socket.connecting) sent();
      else socket.once(secure ? "secureConnect" : "connect", sent);
    });
    asked.on("response", (res) => {
      res.on("error", () => {}); // told to whoever reads it, if anybody does
      resolve(res);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** The body's chunks, cut off with TOOL_ANSWER_TOO_LARGE when there are too many. */
export async function* bounded(
  res: IncomingMessage,
  sizeMaxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let sizeBytes = 0;
  for await (const chunk of res as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > sizeMaxBytes)
      throw new Fault("exhausted", `the tool answers more than ${sizeMaxBytes} bytes`, {
        reason: answerTooLarge,
      });
    yield chunk;
  }
}
