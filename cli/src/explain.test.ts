import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ExplainResponseSchema } from "@soldier/proto/alignment/v1/alignment_service";
import { expect, it } from "vitest";
import { explanationText } from "./explain.ts";

const at = timestampFromDate(new Date("2026-05-10T12:00:00Z"));

it("an explanation is told in lines: what was said, by what, and what was believed", () => {
  const response = create(ExplainResponseSchema, {
    record: {
      turnNumber: 2,
      sessionId: "s-1",
      receivedAt: at,
      bundleVersion: 4n,
      outcome: "completed",
      userText: "Where do I live?",
      replyText: "In Leeds.",
      reply: { source: "model" },
      rules: [{ name: "address", applied: true }, { name: "hours" }],
      navigation: { before: "", after: "move/ask" },
      modelCalls: [{ purpose: "generate", model: "anthropic:x" }],
      degradations: ["retrieve: memory AWAY"],
      withheldFields: [{ name: "diagnosis", purpose: "health", reason: "consent_missing" }],
      memories: [
        {
          id: "f",
          kind: "fact",
          state: "current",
          validFrom: at,
          score: 0.9,
          tokens: 12,
          used: true,
        },
        {
          id: "e",
          kind: "episode",
          validFrom: at,
          score: 0.4,
          reason: "tokens: needs 900, 20 are left",
        },
      ],
    },
    beliefs: {
      at,
      fields: [{ name: "city", used: true, told: "then: Leeds (…); now: Rome, corrected on …" }],
      facts: [{ name: "works_at", subject: "Bob", told: "Acme (…)" }],
    },
  });
  expect(explanationText(response).split("\n")).toEqual([
    "turn 2 of session s-1, 2026-05-10T12:00:00.000Z, version 4: completed",
    "customer: Where do I live?",
    "agent:    In Leeds. [model]",
    "rules:    address",
    "scenario: none to move/ask",
    "models:   generate by anthropic:x",
    "given up: retrieve: memory AWAY",
    "withheld: diagnosis (health: consent_missing)",
    "memory:",
    "  fact, current, since 2026-05-10, score 0.90, 12 tokens: used",
    "  episode, 2026-05-10, score 0.40, 0 tokens: left out (tokens: needs 900, 20 are left)",
    "believed of the customer at 2026-05-10T12:00:00.000Z (* used):",
    "* city: then: Leeds (…); now: Rome, corrected on …",
    "  Bob works at: Acme (…)",
  ]);
});

it("an explanation says what has been erased", () => {
  const response = create(ExplainResponseSchema, {
    record: { personalErased: true },
    beliefs: { at, erased: true },
  });
  const text = explanationText(response);
  expect(text).toContain("what was said has been erased");
  expect(text).toContain("believed: the customer has been erased");
});
