import type { ServerResponse } from "node:http";
import { z } from "zod";
import {
  type Answers,
  sendJson,
  type Streamed,
  type WireAnswer,
  type WireServer,
  wireServer,
  wireTokens,
} from "./testing-server.ts";

export type { WireAnswer } from "./testing-server.ts";

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
  temperature: z.number().min(0).max(1).optional(),
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
export type AnthropicServer = WireServer<WireRequest>;

/** A local server that speaks Anthropic's Messages API: server-sent events, errors by their type. */
export function anthropicServer(
  answers: Answers<WireRequest, WireAnswer>,
): Promise<AnthropicServer> {
  return wireServer(
    {
      paths: ["/v1/messages"],
      request: wireRequest,
      fail: (res, { status, error, message = "a failure of the test", headers }) =>
        sendJson(
          res,
          status,
          { type: "error", error: { type: error, message }, request_id: "req_test" },
          headers,
        ),
      answer: (res, answer: Streamed, { model }) => stream(res, answer, model),
    },
    answers,
  );
}

function stream(
  res: ServerResponse,
  { pieces, ending, stopReason = "end_turn", thinking }: Streamed,
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
        input_tokens: wireTokens.fresh,
        cache_creation_input_tokens: wireTokens.written,
        cache_read_input_tokens: wireTokens.read,
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
