import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type AgentDocument, AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { adopted, emptyDraft } from "./document.ts";
import type { Collection } from "./kinds.ts";
import { settle } from "./settle.ts";

/** A document in the contract's JSON. */
export type Desk = { agent: JsonObject } & { [C in Collection]: JsonObject[] };

/** A small desk with one of everything, and nothing wrong with it; in the contract's JSON. */
export function desk(): Desk {
  return {
    agent: { slug: "desk", name: "Desk", settings: { fallback_template_id: "sorry" } },
    rules: [
      {
        name: "refund",
        condition: "the customer wants the money back",
        examples: ["I want my money back"],
        action: "Explain refunds.",
        template_ids: ["refund"],
        tool_ids: ["find_order"],
        guard: "session.turn < 100 && has(profile.email)",
      },
      {
        name: "greet",
        condition: "the customer greets",
        action: "Greet.",
        template_ids: ["hello"],
      },
      {
        name: "calm",
        condition: "the customer is angry",
        action: "Be sorry.",
        scope: "SCOPE_STEP",
        scenario_id: "return",
        step_id: "ask",
      },
      {
        name: "no-card-numbers",
        action: "Never repeat card numbers.",
        hard_constraint: true,
        always_on: true,
        checks: [{ must_not_match: "\\b\\d{16}\\b" }, { expression: "size(reply) < 600" }],
      },
    ],
    rule_groups: [{ name: "kindness", rule_ids: ["greet", "calm"] }],
    relations: [
      {
        kind: "RELATION_KIND_OVERRIDES",
        from: { rule_id: "refund" },
        to: [{ group_id: "kindness" }],
      },
    ],
    scenarios: [
      {
        name: "return",
        entry_condition: "the customer wants to return something",
        entry_examples: ["I want to send it back"],
        steps: [
          {
            id: "ask",
            instructions: "Ask for the order.",
            collects: ["order_id"],
            transitions: [
              { to_step_id: "done", guard: "has(fields.order_id)" },
              { to_step_id: "done", condition: "the customer gives up", examples: ["never mind"] },
            ],
          },
          { id: "done", instructions: "Say that it is done.", terminal: true, checkpoint: true },
        ],
      },
    ],
    templates: [
      { name: "refund", text: "Order {order_id}: {results.find_order.status}, {profile.email}." },
      { name: "hello", text: "Hello! Call {phone}; braces: {{}}." },
      { name: "sorry", text: "Sorry?", mode: "TEMPLATE_MODE_FALLBACK" },
    ],
    variables: [
      { name: "phone", default_value: "123", tool_id: "find_order", result_path: "status" },
    ],
    tools: [
      {
        name: "find_order",
        input_schema: { type: "object", properties: { order_id: { type: "string" } } },
        output_schema: { type: "object", properties: { status: { type: "string" } } },
        arguments: { order_id: { from: "fields.order_id", pattern: "(\\d{5})" } },
        http: { method: "GET", url: "${backend}/orders/{order_id}" },
      },
    ],
    field_definitions: [{ name: "email", extraction_pattern: "(\\S+@\\S+)" }],
  };
}

export function documentOf(json: JsonValue): AgentDocument {
  return fromJson(AgentDocumentSchema, json);
}

/** The draft that the document makes in an empty agent, and what is wrong with it. */
export function settled(json: JsonValue) {
  const nothing = emptyDraft();
  return settle(adopted(documentOf(json), nothing), nothing);
}

/** "field reason" of each error (or warning) in the document. */
export function found(json: JsonValue, what: "errors" | "warnings" = "errors"): readonly string[] {
  const { problems } = settled(json);
  return problems
    .filter(({ warning }) => (what === "warnings" ? warning : !warning))
    .map(({ field, reason }) => `${field} ${reason}`);
}
