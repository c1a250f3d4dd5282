import { create } from "@bufbuild/protobuf";
import { RuleSchema } from "@soldier/proto/config/v1/rule";
import { TurnSchema } from "@soldier/proto/session/v1/session";
import { describe, expect, it } from "vitest";
import { buildPrompt, type PromptQuestion, tokensIn } from "./prompt.ts";
import { someValues } from "./testing.ts";

const turn = (n: number) =>
  create(TurnSchema, { userText: `question ${n} ${"x".repeat(80)}`, replyText: `answer ${n}` });

function question(more: Partial<PromptQuestion> = {}): PromptQuestion {
  return {
    conduct: "Be kind.",
    instructions: "You are the desk.",
    applied: [
      create(RuleSchema, { name: "careful", action: "Promise nothing.", hardConstraint: true }),
    ],
    stressed: [],
    step: undefined,
    scenario: "",
    suggestions: [],
    asks: [],
    known: someValues(),
    withheld: new Set(),
    memories: [],
    history: [turn(1), turn(2)],
    message: "hello",
    shown: "",
    tokensMax: 1_000,
    ...more,
  };
}

describe("a prompt", () => {
  it("goes from what never changes to what always does, and marks what may be cached", () => {
    const { system, messages } = buildPrompt(question());
    expect(system.map(({ cacheable }) => cacheable ?? false)).toEqual([true, true, false]);
    expect(system[2]?.text).toContain("- careful (must): Promise nothing.");
    expect(messages.at(-1)).toEqual({ role: "user", text: "hello" });
    const next = buildPrompt(
      question({ message: "other", known: someValues({ fields: { a: 1 } }) }),
    );
    expect(next.system.slice(0, 2)).toEqual(system.slice(0, 2));
  });
  it("drops the oldest history first, and never a rule", () => {
    const all = buildPrompt(question()).messages;
    expect(all).toHaveLength(5);
    const tight = buildPrompt(question({ tokensMax: 70 }));
    expect(tight.messages.map(({ text }) => text.slice(0, 10))).toEqual([
      "question 2",
      "answer 2",
      "hello",
    ]);
    const none = buildPrompt(question({ tokensMax: 1 }));
    expect(none.messages).toHaveLength(1);
    expect(none.system[2]?.text).toContain("Promise nothing.");
  });
  it("keeps back what the customer does not let a model see", () => {
    const known = someValues({ profile: { email: "a@b.c", name: "Ada" } });
    const text = buildPrompt(question({ known, withheld: new Set(["email"]) })).system[2]?.text;
    expect(text).toContain("name: Ada");
    expect(text).not.toContain("a@b.c");
  });
  it("stresses what was broken and says what was shown already", () => {
    const { system, messages } = buildPrompt(
      question({ stressed: ["never say: free"], shown: "Good." }),
    );
    expect(system[2]?.text).toContain("never say: free");
    expect(messages.at(-1)?.text).toContain("<already_said>\nGood.");
  });
  it("counts tokens on the safe side", () => {
    expect(tokensIn("four")).toBe(1);
    expect(tokensIn("fours")).toBe(2);
  });
});
