import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { conditionTexts } from "@soldier/retrieval/condition-text";

/** Every text that a message is compared with, each once, in the order of the document. */
export function matchedTexts({ rules, scenarios }: AgentDocument): readonly string[] {
  const matched = [
    ...rules,
    ...scenarios.flatMap(({ entryCondition, entryExamples, steps }) => [
      { condition: entryCondition, examples: entryExamples },
      ...steps.flatMap(({ transitions }) => transitions),
    ]),
  ];
  const texts = matched.flatMap(({ condition, examples }) => [
    ...conditionTexts(condition, examples.length),
    ...examples,
  ]);
  return [...new Set(texts.filter((text) => text))];
}
