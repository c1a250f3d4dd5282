import type { Tool } from "@soldier/proto/config/v1/tool";
import { z } from "zod";
import type { ModelCalls } from "./model-calls.ts";
import { conversation } from "./prompts.ts";
import { callInstructions, callsShape, describedTools, proposedCalls } from "./tool-proposals.ts";
import type { Turn } from "./turn.ts";

const shape = z.object({ calls: callsShape });

/** Asks a model which calls of these tools the conversation asks for: one question for all of them. */
export async function askedCalls(
  tools: readonly Tool[],
  guidance: readonly string[],
  turn: Pick<Turn, "incoming" | "history" | "budget" | "bundle" | "known" | "profile">,
  calls: ModelCalls,
): Promise<ReturnType<typeof proposedCalls>> {
  const { value } = await calls.structured(
    "tool-calls",
    {
      system: [{ text: callInstructions, cacheable: true }],
      messages: [
        {
          role: "user",
          text: `${conversation(turn.history, turn.incoming.text)}\n\n${describedTools(tools, guidance, turn)}`,
        },
      ],
      maxTokens: 1_500,
      schema: shape,
      schemaName: "tool_calls",
    },
    turn.budget,
  );
  return proposedCalls(tools, value.calls);
}
