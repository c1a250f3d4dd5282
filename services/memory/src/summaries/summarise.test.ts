import { scriptedModel } from "@soldier/ai/scripted";
import { describe, expect, it } from "vitest";
import { extractiveSummary } from "./extractive.ts";
import { inputHash } from "../domain/summary.ts";
import { byModel } from "./summarise.ts";

const input = (text: string, id = text) => ({
  id,
  text,
  from: new Date(0),
  to: new Date(0),
  turns: 1,
});

describe("an extractive summary", () => {
  const small = ["Hello!", "Thanks a lot.", "You are welcome."];
  const parcel = [
    "Customer: Parcel 4711 with the blue lamp has not come. ",
    "Agent: Parcel 4711 was sent to Lisbon by mistake. ",
    "Customer: I want the lamp sent to Porto instead. ",
  ];

  it("says nothing that was not said, in the order in which it was", () => {
    const summary = extractiveSummary([...small, ...parcel]);
    const places = parcel.map((text) => summary.indexOf(text.trim().slice(-20)));
    expect(places.every((at) => at >= 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });
  it("is short, and the same each time", () => {
    const many = Array.from(
      { length: 60 },
      (_, i) => `Item ${i} costs ${i * 7} euros in town ${i}.`,
    );
    expect(extractiveSummary(many).length).toBeLessThanOrEqual(1_200);
    expect(extractiveSummary(many)).toBe(extractiveSummary(many));
  });
  it("cuts the one sentence that is too long for all of it", () => {
    expect(extractiveSummary(["x".repeat(5_000)])).toHaveLength(1_200);
  });
});

describe("a model's summary", () => {
  it("says by which model and prompt it was made", async () => {
    const model = scriptedModel(["They talked of a lamp."]);
    const made = await byModel(model)([input("a lamp")], new AbortController().signal);
    expect(made.text).toBe("They talked of a lamp.");
    expect(made.madeBy).toMatch(new RegExp(`^llm:${model.id}@[0-9a-f]{8}$`));
  });
  it("is its inputs' own sentences when the model has nothing to say", async () => {
    const signal = new AbortController().signal;
    const made = await byModel(scriptedModel(["  \n "]))([input("A lamp came.")], signal);
    expect(made).toEqual({ text: "A lamp came.", madeBy: "extractive:v1" });
  });
});

it("hashes ids and texts, in their order", () => {
  const [a, b] = [input("a"), input("b")];
  expect(inputHash([a, b])).toBe(inputHash([a, b]));
  const others = [[b, a], [a], [a, { ...b, text: "c" }], [a, { ...b, id: "c" }]];
  for (const other of others) expect(inputHash(other)).not.toBe(inputHash([a, b]));
});
