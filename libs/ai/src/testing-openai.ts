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

const wireRequest = z.looseObject({
  model: z.string(),
  stream: z.literal(true),
  stream_options: z.object({ include_usage: z.boolean() }).optional(),
  messages: z
    .array(
      z.strictObject({
        role: z.enum(["system", "user", "assistant"]),
        content: z.string().min(1),
      }),
    )
    .min(1),
  max_tokens: z.int().positive().optional(),
  max_completion_tokens: z.int().positive().optional(),
  temperature: z.number().min(0).max(2).optional(),
  stop: z.array(z.string()).max(4).optional(),
  reasoning_effort: z.string().optional(),
  response_format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("json_object") }),
      z.object({
        type: z.literal("json_schema"),
        json_schema: z
          .looseObject({
            name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
            strict: z.boolean(),
            schema: z.record(z.string(), z.unknown()),
          })
          .refine(
            ({ strict, schema }) =>
              !strict || !/"(default|\$schema)":[^{]/.test(JSON.stringify(schema)),
            {
              message: "Invalid schema for response_format: 'default' is not permitted",
            },
          ),
      }),
    ])
    .optional(),
});

export type OpenaiRequest = z.output<typeof wireRequest>;
export type OpenaiServer = WireServer<OpenaiRequest>;
export type OpenaiAnswer =
  | WireAnswer
  /** Declined in words of its own, as the API has it. */
  | { readonly refusal: string };

/** A local server that speaks OpenAI's chat completions, streamed: server-sent events without names. */
export function openaiServer(
  answers: Answers<OpenaiRequest, OpenaiAnswer>,
  paths: readonly string[] = ["/v1/chat/completions"],
): Promise<OpenaiServer> {
  return wireServer(
    {
      paths,
      request: wireRequest,
      fail: (res, { status, error, message = "a failure of the test", headers }) =>
        sendJson(
          res,
          status,
          { error: { message, type: error, param: null, code: error } },
          headers,
        ),
      answer: (res, answer: Streamed | { readonly refusal: string }, req) =>
        stream(res, answer, req),
    },
    answers,
  );
}

function stream(
  res: ServerResponse,
  answer: Streamed | { readonly refusal: string },
  { model, stream_options }: OpenaiRequest,
): void {
  res.writeHead(200, { "content-type": "text/event-stream" });
  const send = (chunk: object) =>
    res.write(
      `data: ${JSON.stringify({
        id: "chatcmpl-test",
        object: "chat.completion.chunk",
        created: 1_790_000_000,
        model: `${model}-2026-10-01`,
        system_fingerprint: "fp_test",
        ...chunk,
      })}\n\n`,
    );
  const counted = stream_options?.include_usage ? { usage: null } : {};
  const delta = (given: object, finish_reason: string | null = null) =>
    send({
      choices: [{ index: 0, delta: given, logprobs: null, finish_reason }],
      ...counted,
    });

  delta({ role: "assistant", content: "", refusal: null });
  if ("refusal" in answer) {
    delta({ refusal: answer.refusal });
    delta({}, "stop");
    res.end("data: [DONE]\n\n");
    return;
  }
  const { pieces, ending, stopReason = "stop", thinking } = answer;
  // Not part of the API, but what servers with open models send.
  if (thinking !== undefined) delta({ reasoning_content: thinking });
  for (const content of pieces) delta({ content });

  if (ending === "silence") return;
  if (ending === "cut") {
    res.write('data: {"id":"chat', () => res.destroy());
    return;
  }
  if (ending === "close") {
    res.end();
    return;
  }
  if (ending) {
    const error = { message: "a failure of the test", type: ending.error, code: ending.error };
    res.end(`data: ${JSON.stringify({ error })}\n\n`);
    return;
  }
  delta({}, stopReason);
  const { fresh, read, written } = wireTokens;
  const prompt_tokens = fresh + read + written;
  if (stream_options?.include_usage)
    send({
      choices: [],
      usage: {
        prompt_tokens,
        completion_tokens: pieces.length,
        total_tokens: prompt_tokens + pieces.length,
        prompt_tokens_details: { cached_tokens: read, cache_write_tokens: written },
      },
    });
  res.end("data: [DONE]\n\n");
}
