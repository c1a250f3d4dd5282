import { judgement } from "./testing-model.ts";

/** A call of a tool as a model proposes it; `tool` is "t1" and so on. */
export function proposal(tool: string, values: Readonly<Record<string, unknown>>, now = true) {
  return {
    tool,
    now,
    arguments: Object.entries(values).map(([name, value]) => ({
      name,
      json: JSON.stringify(value),
    })),
  };
}

/** A model that proposes these calls, in the judgement of the message or when it is asked for them alone. */
export function proposing(...calls: readonly object[]) {
  return scripted({ judgement: judgement([], { calls }), tool_calls: { calls } });
}

/** A model that says these values for shapes by name, and "Done." where it writes. */
export function scripted(structured: Readonly<Record<string, unknown>>) {
  const texts = Object.entries(structured).map(([shape, value]) => [shape, JSON.stringify(value)]);
  return {
    model: {
      provider: "scripted",
      scripted: { replies: ["Done."], structured: Object.fromEntries(texts) },
    },
  };
}
