import type { Tool } from "@soldier/proto/config/v1/tool";
import { z } from "zod";
import { Fault } from "@soldier/kernel/fault";
import type { JsonRecord } from "../domain/json.ts";
import { propertiesOf, requiredOf } from "../domain/tool-schema.ts";
import type { ModelCalls } from "./model-calls.ts";
import { conversation, instructions } from "./prompts.ts";
import type { Turn } from "./turn.ts";

const shape = z.object({
  wanted: z.boolean(),
  arguments: z.array(z.object({ name: z.string(), json: z.string() })),
});

const prompt = instructions(import.meta.url, "./steps/execute-tools.md");

/**
 * Asks a model what the conversation says of a tool's arguments. Only what the customer said counts;
 * undefined when the model can't say, or the customer does not want it done now.
 */
export function argumentJudge(
  { incoming, history, budget }: Pick<Turn, "incoming" | "history" | "budget">,
  calls: ModelCalls,
): (tool: Tool) => Promise<JsonRecord | undefined> {
  return async (tool) => {
    const properties = propertiesOf(tool.inputSchema);
    const described = JSON.stringify({
      name: tool.name,
      description: tool.description,
      properties,
      required: requiredOf(tool.inputSchema),
    });
    try {
      const { value } = await calls.structured(
        "tool-arguments",
        {
          system: [{ text: prompt, cacheable: true }],
          messages: [
            {
              role: "user",
              text: `<tool>\n${described}\n</tool>\n\n${conversation(history, incoming.text)}`,
            },
          ],
          maxTokens: 600,
          schema: shape,
          schemaName: "tool_arguments",
        },
        budget,
      );
      if (!value.wanted) return undefined;
      return Object.fromEntries(
        value.arguments
          .filter(({ name }) => Object.hasOwn(properties, name))
          .flatMap(({ name, json }) => {
            const parsed = parse(json);
            return parsed === undefined ? [] : [[name, parsed]];
          }),
      );
    } catch (error) {
      if (error instanceof Fault) return undefined; // the call is in the record, with its reason
      throw error;
    }
  };
}

function parse(json: string): JsonRecord[string] | undefined {
  try {
    return JSON.parse(json) as JsonRecord[string]; // JSON.parse gives JSON
  } catch {
    return json; // a bare word: the schema decides whether it will do
  }
}
