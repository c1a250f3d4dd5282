import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { TemplateMode } from "@soldier/proto/config/v1/template";

const topics = [
  "delivery",
  "payment",
  "returns",
  "account",
  "products",
  "vouchers",
  "warranty",
  "invoices",
];
const aspects = [
  "time",
  "cost",
  "problem",
  "change",
  "question",
  "cancellation",
  "confirmation",
  "delay",
];

/** What customers of the bench's agent write. */
export const messages = topics.flatMap((topic) =>
  aspects.map((aspect) => `Hello, I have a ${aspect} about my ${topic}, can you help me with it?`),
);

/** An agent with so many rules, three examples each, and one template that the model may adapt. */
export function benchAgent(slug: string, rules: number): unknown {
  const document: MessageInitShape<typeof AgentDocumentSchema> = {
    agent: { slug, name: "Bench", instructions: "You answer customers of a shop, briefly." },
    rules: Array.from({ length: rules }, (_, i) => {
      const topic = topics[i % topics.length] ?? "";
      const aspect = aspects[Math.floor(i / topics.length) % aspects.length] ?? "";
      return {
        name: `rule-${i}`,
        condition: `the customer has a ${aspect} about ${topic}, case ${i}`,
        action: `Answer about ${aspect} of ${topic} by article ${i} of the handbook.`,
        examples: [
          `I have a ${aspect} about my ${topic} number ${i}`,
          `what about the ${aspect} of ${topic} ${i}`,
          `${topic} ${aspect} ${i} please`,
        ],
      };
    }),
    templates: [
      { name: "fallback", mode: TemplateMode.FALLBACK, text: "I did not understand, I am sorry." },
    ],
  };
  return toJson(AgentDocumentSchema, create(AgentDocumentSchema, document));
}
