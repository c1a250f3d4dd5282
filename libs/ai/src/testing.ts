import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { z } from "zod";

/** What the server does with one call, on the wire. */
export type WireAnswer =
  | {
      /** Streamed one piece per event. */
      readonly pieces: readonly string[];
      /** What comes after the pieces. Default: an ordinary end with this stop reason. */
      readonly ending?: "silence" | "cut" | "close" | { readonly error: string };
      readonly stopReason?: string;
      /** Sent before the pieces, as models that reason do. */
      readonly thinking?: string;
    }
  | {
      readonly status: number;
      readonly error: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Takes the request and never answers it. */
  | "silence";

const wireRequest = z.looseObject({
  model: z.string(),
  max_tokens: z.int().positive(),
  stream: z.literal(true),
  system: z.array(
    z.looseObject({
      type: z.literal("text"),
      text: z.string().min(1),
      cache_control: z.looseObject({ type: z.literal("ephemeral") }).optional(),
    }),
  ),
  messages: z
    .array(z.looseObject({ role: z.enum(["user", "assistant"]), content: z.string().min(1) }))
    .min(1),
  stop_sequences: z.array(z.string()).optional(),
  thinking: z.looseObject({ type: z.string() }).optional(),
  output_config: z
    .looseObject({
      effort: z.string().optional(),
      format: z
        .looseObject({
          type: z.literal("json_schema"),
          schema: z.record(z.string(), z.unknown()),
        })
        .optional(),
    })
    .optional(),
});

export type WireRequest = z.output<typeof wireRequest>;

export interface AnthropicServer extends AsyncDisposable {
  readonly url: string;
  /** The bodies received, in order. */
  readonly requests: readonly WireRequest[];
  readonly headers: readonly IncomingMessage["headers"][];
  /** Resolves when that many calls have arrived. */
  received(calls: number): Promise<void>;
  /** Resolves when the client has hung up on that many calls before their end. */
  hungUp(calls: number): Promise<void>;
}

/**
 * A local server that speaks Anthropic's Messages API over real sockets: server-sent events, errors
 * with status and headers, and all the ways in which a connection goes wrong. Answers in order.
 */
export async function anthropicServer(answers: readonly WireAnswer[]): Promise<AnthropicServer> {
  const requests: WireRequest[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const arrivals = tally();
  const departures = tally();

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    res.on("close", () => {
      if (!res.writableFinished) departures.add();
    });
    const read = wireRequest.safeParse(await json(req));
    if (req.url !== "/v1/messages" || !read.success) {
      fail(res, 400, "invalid_request_error", read.error?.message ?? `no route ${req.url}`);
      return;
    }
    const next = answers[requests.length];
    requests.push(read.data);
    headers.push(req.headers);
    arrivals.add();
    if (next === undefined) fail(res, 500, "api_error", "the test has no more answers");
    else if (next === "silence") return;
    else if ("status" in next)
      fail(res, next.status, next.error, "a failure of the test", next.headers);
    else stream(res, next, read.data.model);
  }

  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) =>
      res.destroy(error instanceof Error ? error : undefined),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A server that listens on TCP has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    headers,
    received: (calls) => arrivals.reach(calls),
    hungUp: (calls) => departures.reach(calls),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A count that can be waited for. */
function tally(): { add(): void; reach(count: number): Promise<void> } {
  let counted = 0;
  const waiting: { count: number; resolve: () => void }[] = [];
  return {
    add() {
      counted++;
      for (const { count, resolve } of waiting) if (counted >= count) resolve();
    },
    reach: (count) =>
      counted >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
  };
}

function fail(
  res: ServerResponse,
  status: number,
  type: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  res.writeHead(status, {
    "content-type": "application/json",
    "request-id": "req_test",
    ...headers,
  });
  res.end(JSON.stringify({ type: "error", error: { type, message }, request_id: "req_test" }));
}

function stream(
  res: ServerResponse,
  { pieces, ending, stopReason = "end_turn", thinking }: Extract<WireAnswer, { pieces: unknown }>,
  model: string,
): void {
  res.writeHead(200, { "content-type": "text/event-stream", "request-id": "req_test" });
  const send = (type: string, fields: object) =>
    res.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  const block = (index: number, content: object, deltas: readonly object[]) => {
    send("content_block_start", { index, content_block: content });
    send("ping", {});
    for (const delta of deltas) send("content_block_delta", { index, delta });
    send("content_block_stop", { index });
  };

  send("message_start", {
    message: {
      id: "msg_test",
      type: "message",
      role: "assistant",
      model: `${model}-20261001`,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens: 25,
        cache_creation_input_tokens: 7,
        cache_read_input_tokens: 300,
        output_tokens: 1,
      },
    },
  });
  if (thinking !== undefined)
    block(0, { type: "thinking", thinking: "", signature: "" }, [
      { type: "thinking_delta", thinking },
      { type: "signature_delta", signature: "c2lnbmVk" },
    ]);
  block(
    thinking === undefined ? 0 : 1,
    { type: "text", text: "" },
    pieces.map((text) => ({ type: "text_delta", text })),
  );

  if (ending === "silence") return;
  if (ending === "cut") {
    res.write("event: mess", () => res.destroy());
    return;
  }
  if (ending === "close") {
    res.end();
    return;
  }
  if (ending) {
    send("error", { error: { type: ending.error, message: "a failure of the test" } });
    res.end();
    return;
  }
  send("message_delta", {
    delta: { stop_reason: stopReason, stop_sequence: null },
    usage: { output_tokens: pieces.length },
  });
  send("message_stop", {});
  res.end();
}
