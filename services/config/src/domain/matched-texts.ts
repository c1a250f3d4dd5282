import type { AgentDocument } from "@soldier/proto/config/v1/config_service";

/** Every text that a message is compared with, each once, in the order of the document. */
export function matchedTexts({ rules, scenarios }: AgentDocument): readonly string[] {
  const texts = [
    ...rules.flatMap((rule) => [rule.condition, ...rule.examples]),
    ...scenarios.flatMap((scenario) => [
      scenario.entryCondition,
      ...scenario.entryExamples,
      ...scenario.steps.flatMap(({ transitions }) =>
        transitions.flatMap((transition) => [transition.condition, ...transition.examples]),
      ),
    ]),
  ];
  return [...new Set(texts.filter((text) => text))];
}
