import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { matchedTexts, type MatchedText } from "@soldier/retrieval/condition-text";

/** Every text that a message is compared with, each once, in the order of the document. */
export function textsOf({ rules, scenarios }: AgentDocument): readonly MatchedText[] {
  return matchedTexts([
    ...rules,
    ...scenarios.flatMap(({ entryCondition, entryExamples, steps }) => [
      { condition: entryCondition, examples: entryExamples },
      ...steps.flatMap(({ transitions }) => transitions),
    ]),
  ]);
}
