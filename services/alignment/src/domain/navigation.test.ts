import { create } from "@bufbuild/protobuf";
import { type StepVisit, StepVisitSchema, VisitReason } from "@soldier/proto/session/v1/session";
import { describe, expect, it } from "vitest";
import { goOn, navigate } from "./navigation.ts";
import type { NavigationQuestion } from "./navigation-question.ts";
import { asking, type StepInit } from "./testing-navigation.ts";

const fork: StepInit = [
  {
    id: "a",
    transitions: [
      { id: "to-b", toStepId: "b", condition: "says b" },
      { id: "to-c", toStepId: "c", condition: "says c" },
    ],
  },
  { id: "b", instructions: "Do b.", transitions: [{ toStepId: "end" }] },
  { id: "c", instructions: "Do c.", transitions: [{ toStepId: "end" }] },
  { id: "end", terminal: true },
];

describe("a session in a scenario", () => {
  it("takes the edge that the message speaks for", () => {
    const { position, visits, moves } = navigate(
      asking(fork, { at: "a", scores: { "to-b": 0.8, "to-c": 0.4 } }),
    );
    expect(position?.stepId).toBe("b");
    expect(position?.enteredTurn).toBe(5);
    expect(visits.at(-1)).toMatchObject({ stepId: "b", transitionId: "to-b", confidence: 0.8 });
    expect(moves.map(({ id, taken }) => [id, taken])).toEqual([
      ["to-b", true],
      ["to-c", false],
    ]);
  });
  it("never guesses between edges within the margin", () => {
    const { position, reason } = navigate(
      asking(fork, { at: "a", scores: { "to-b": 0.75, "to-c": 0.7 } }),
    );
    expect(position?.stepId).toBe("a");
    expect(reason).toContain("within 0.1");
  });
  it("lets priority decide before scores", () => {
    const steps: StepInit = [
      {
        id: "a",
        transitions: [
          { id: "to-b", toStepId: "b", condition: "says b" },
          { id: "to-c", toStepId: "c", condition: "says c", priority: 5 },
        ],
      },
      { id: "b" },
      { id: "c" },
    ];
    const question = asking(steps, { at: "a", scores: { "to-b": 0.9, "to-c": 0.7 } });
    expect(navigate(question).position?.stepId).toBe("c");
  });
  it("never takes an edge whose guard is false or whose target lacks a field", () => {
    const steps: StepInit = [
      {
        id: "a",
        transitions: [
          { id: "to-b", toStepId: "b", condition: "says b", guard: "closed" },
          { id: "to-c", toStepId: "c", condition: "says c" },
        ],
      },
      { id: "b" },
      { id: "c", requiredFields: [{ field: "email", verified: true }] },
    ];
    const scores = { "to-b": 0.9, "to-c": 0.95 };
    const refused = navigate(asking(steps, { at: "a", scores, known: ["email"] }));
    expect(refused.position?.stepId).toBe("a");
    expect(refused.moves.map(({ reason }) => reason)).toEqual([
      "its guard is false",
      "needs email",
    ]);
    const allowed = navigate(asking(steps, { at: "a", scores, verified: ["email"] }));
    expect(allowed.position?.stepId).toBe("c");
  });
  it("waits until the step has collected what it is for, then goes on", () => {
    const steps: StepInit = [
      { id: "ask", collects: ["order_id"], transitions: [{ id: "on", toStepId: "b" }] },
      { id: "b" },
    ];
    expect(navigate(asking(steps, { at: "ask" })).position?.stepId).toBe("ask");
    expect(navigate(asking(steps, { at: "ask", known: ["order_id"] })).position?.stepId).toBe("b");
  });
  it("stays at a step that only speaks while the customer digresses", () => {
    const steps: StepInit = [{ id: "a", transitions: [{ toStepId: "b" }] }, { id: "b" }];
    expect(navigate(asking(steps, { at: "a", digression: true })).position?.stepId).toBe("a");
    expect(navigate(asking(steps, { at: "a" })).position?.stepId).toBe("b");
  });
  it("takes no edge that a rule outdoes, but for a model's word or a guard", () => {
    const at = { at: "a", scores: { "to-b": 0.9 }, outdone: () => true };
    const { position, moves } = navigate(asking(fork, at));
    expect(position?.stepId).toBe("a");
    expect(moves[0]?.reason).toBe("a rule explains the message better");
    const judged = { kind: "edge", id: "to-b", confidence: 0.9 } as const;
    expect(navigate(asking(fork, { ...at, judged })).position?.stepId).toBe("b");
  });
  it("leaves after its terminal step, and may begin another at once", () => {
    const { position, visits } = navigate(asking(fork, { at: "end", scores: { entry: 0.9 } }));
    expect(visits.map(({ reason }) => reason)).toEqual([VisitReason.EXIT, VisitReason.ENTRY]);
    expect(position?.stepId).toBe("a");
  });
  it("leaves when the customer clearly wants to, and begins nothing", () => {
    const { position, reason } = navigate(
      asking(fork, { at: "a", exitSignal: 0.9, scores: { entry: 0.9 } }),
    );
    expect(position).toBeUndefined();
    expect(reason).toBe("the customer wants to leave it");
  });
  it("lets an edge have the customer's wish to stop first", () => {
    const { position } = navigate(
      asking(fork, { at: "a", exitSignal: 0.9, scores: { "to-b": 0.9 } }),
    );
    expect(position?.stepId).toBe("b");
  });
  it("follows a model's judgement, and its word to stay", () => {
    const scores = { "to-b": 0.9 };
    const judged = (judgement: NavigationQuestion["judged"]) =>
      navigate(asking(fork, { at: "a", scores, judged: judgement })).position?.stepId;
    expect(judged({ kind: "edge", id: "to-c", confidence: 0.8 })).toBe("c");
    expect(judged({ kind: "stay", confidence: 0.8 })).toBe("a");
    expect(judged({ kind: "exit", confidence: 0.9 })).toBeUndefined();
  });
  it("stays when one step is visited too often, and says so", () => {
    const visits: StepVisit[] = Array.from({ length: 5 }, (_, turn) =>
      create(StepVisitSchema, { turn, stepId: "b", scenarioId: "returns" }),
    );
    const { position, moves } = navigate(
      asking(fork, { at: "a", visits, scores: { "to-b": 0.9 } }),
    );
    expect(position?.stepId).toBe("a");
    expect(moves[0]?.reason).toContain("loop");
  });
  it("keeps the last fifty visits", () => {
    const visits = Array.from({ length: 50 }, () => create(StepVisitSchema, { turn: -20 }));
    const navigation = navigate(asking(fork, { at: "a", visits, scores: { "to-b": 0.9 } }));
    expect(navigation.visits).toHaveLength(50);
    expect(navigation.visits.at(-1)?.stepId).toBe("b");
  });
});

describe("a place that is lost", () => {
  const visits = [create(StepVisitSchema, { turn: 2, stepId: "a", scenarioId: "returns" })];
  it("counts turns in which no edge is plausible, and begins again after a plausible one", () => {
    expect(navigate(asking(fork, { at: "a" })).lowConfidenceTurns).toBe(1);
    const plausible = asking(fork, { at: "a", lowConfidenceTurns: 2, scores: { "to-b": 0.5 } });
    expect(navigate(plausible).lowConfidenceTurns).toBe(0);
    const digressing = asking(fork, { at: "a", lowConfidenceTurns: 2, digression: true });
    expect(navigate(digressing).lowConfidenceTurns).toBe(0);
  });
  it("is found again at the step that fits best", () => {
    const { position, visits: after } = navigate(
      asking(fork, { at: "gone", visits, scores: { "to-b": 0.75, "to-c": 0.2 } }),
    );
    expect(position?.stepId).toBe("b");
    expect(after.at(-1)?.reason).toBe(VisitReason.RELOCALISATION);
  });
  it("is given up when nothing fits", () => {
    const given = { at: "a", visits, lowConfidenceTurns: 2 };
    const { position, reason } = navigate(asking(fork, given));
    expect(position).toBeUndefined();
    expect(reason).toContain("no step fits");
  });
});

describe("a session in no scenario", () => {
  it("starts the one whose entry condition fits", () => {
    const { position } = navigate(asking(fork, { scores: { entry: 0.7 } }));
    expect(position).toMatchObject({ scenarioId: "returns", scenarioVersion: 3n, stepId: "a" });
  });
  it("starts none that a rule outdoes, but for a model's word or a relation", () => {
    const starts = (given: Parameters<typeof asking>[1], entry: object = {}) => {
      const entries = [{ scenarioId: "returns", score: 0.9, outdone: true, ...entry }];
      return navigate(asking(fork, { entries, ...given })).position?.stepId;
    };
    expect(starts({})).toBeUndefined();
    expect(starts({ judged: { kind: "entry", id: "returns", confidence: 0.9 } })).toBe("a");
    expect(starts({}, { entailed: true })).toBe("a");
  });
  it("starts none below the threshold, disabled, guarded, overridden or without its fields", () => {
    const scores = { entry: 0.9 };
    expect(navigate(asking(fork, { scores: { entry: 0.6 } })).position).toBeUndefined();
    for (const scenario of [{ disabled: true }, { entryGuard: "no" }, { requiredFields: ["x"] }])
      expect(navigate(asking(fork, { scores, scenario })).position).toBeUndefined();
    const blocked = new Set(["returns"]);
    expect(navigate(asking(fork, { scores, blocked })).position).toBeUndefined();
  });
  it("goes on from the entry at once as far as data and guards allow", () => {
    const steps: StepInit = [
      { id: "ask", collects: ["order_id"], transitions: [{ toStepId: "look" }] },
      {
        id: "look",
        transitions: [
          { toStepId: "new", guard: "is_new" },
          { toStepId: "old", guard: "is_old" },
        ],
      },
      { id: "new" },
      { id: "old" },
    ];
    const { position, entered } = navigate(
      asking(steps, { scores: { entry: 0.9 }, known: ["order_id"], guards: { is_old: true } }),
    );
    expect(position?.stepId).toBe("old");
    expect(entered).toEqual(["ask", "look", "old"]);
  });
  it("stops advancing at its limit", () => {
    const steps: StepInit = [
      { id: "a", transitions: [{ toStepId: "b", guard: "t" }] },
      { id: "b", transitions: [{ toStepId: "a", guard: "t" }] },
    ];
    const { entered } = navigate(asking(steps, { scores: { entry: 0.9 }, guards: { t: true } }));
    expect(entered).toHaveLength(6);
  });
});

describe("a step with tools", () => {
  const steps: StepInit = [
    { id: "get", toolIds: ["lab"], transitions: [{ toStepId: "tell" }] },
    { id: "tell", terminal: true },
  ];
  it("is waited at until they have answered", () => {
    const entered = navigate(asking(steps, { scores: { entry: 0.9 } }));
    expect(entered.position?.stepId).toBe("get");
    const stale = asking(steps, { scores: { entry: 0.9 }, tools: { get: "done" } });
    expect(navigate(stale).position?.stepId).toBe("get");
    const { position, visits, moves } = entered;
    const later = { position, visits, moves };
    expect(goOn(asking(steps, later)).position?.stepId).toBe("get");
    expect(goOn(asking(steps, { ...later, tools: { get: "done" } })).position?.stepId).toBe("tell");
  });
});
