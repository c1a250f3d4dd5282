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

const wireRequest = z.strictObject({
  model: z.string(),
  stream: z.literal(true),
  messages: z
    .array(
      z.strictObject({
        role: z.enum(["system", "user", "assistant"]),
        content: z.string().min(1),
      }),
    )
    .min(1),
  format: z.looseObject({ type: z.literal("object") }).optional(),
  think: z.union([z.boolean(), z.string()]).optional(),
  options: z.strictObject({
    num_ctx: z.int().positive(),
    num_predict: z.int().positive(),
    temperature: z.number().optional(),
    stop: z.array(z.string()).optional(),
  }),
});

export type OllamaRequest = z.output<typeof wireRequest>;
export type OllamaServer = WireServer<OllamaRequest>;

/** A local server that speaks Ollama's chat API: one JSON object a line. */
export function ollamaServer(answers: Answers<OllamaRequest, WireAnswer>): Promise<OllamaServer> {
  return wireServer(
    {
      paths: ["/api/chat"],
      request: wireRequest,
      fail: (res, { status, error, message = error, headers }) =>
        sendJson(res, status, { error: message }, headers),
      answer: (res, answer: Streamed, { model }) => stream(res, answer, model),
    },
    answers,
  );
}

function stream(
  res: ServerResponse,
  { pieces, ending, stopReason = "stop", thinking }: Streamed,
  model: string,
): void {
  res.writeHead(200, { "content-type": "application/x-ndjson" });
  const created_at = "2026-10-01T00:00:00.000000Z";
  const send = (fields: object) =>
    res.write(`${JSON.stringify({ model, created_at, ...fields })}\n`);
  if (thinking !== undefined)
    send({ message: { role: "assistant", content: "", thinking }, done: false });
  for (const content of pieces) send({ message: { role: "assistant", content }, done: false });

  if (ending === "silence") return;
  if (ending === "cut") {
    res.write('{"model":"', () => res.destroy());
    return;
  }
  if (ending === "close") {
    res.end();
    return;
  }
  if (ending) {
    res.end(`${JSON.stringify({ error: ending.error })}\n`);
    return;
  }
  send({
    message: { role: "assistant", content: "" },
    done_reason: stopReason,
    done: true,
    total_duration: 4_883_583_458,
    load_duration: 1_334_875,
    prompt_eval_count: wireTokens.fresh + wireTokens.read + wireTokens.written,
    prompt_eval_duration: 342_546_000,
    eval_count: pieces.length,
    eval_duration: 4_535_599_000,
  });
  res.end();
}
