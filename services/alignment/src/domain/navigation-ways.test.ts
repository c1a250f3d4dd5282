import { create } from "@bufbuild/protobuf";
import { StepVisitSchema, VisitReason } from "@soldier/proto/session/v1/session";
import { describe, expect, it } from "vitest";
import { goOn, navigate } from "./navigation.ts";
import type { Navigation, NavigationQuestion } from "./navigation-question.ts";
import { asking, type StepInit } from "./testing-navigation.ts";

const way = ({ entered }: Navigation) => entered.join(" ");

const been = (...stepIds: string[]) =>
  stepIds.map((stepId, i) =>
    create(StepVisitSchema, {
      turn: i + 1,
      stepId,
      scenarioId: "returns",
      reason: i === 0 ? VisitReason.ENTRY : VisitReason.TRANSITION,
    }),
  );

const flight: StepInit = ["from", "to", "dates", "class", "name"].map((id, i, all) => ({
  id,
  instructions: `Ask for ${id}.`,
  collects: [id],
  terminal: i === all.length - 1,
  transitions: all.slice(i + 1, i + 2).map((toStepId) => ({ toStepId })),
}));

describe("what is known already", () => {
  it("is passed over on entry, several steps at once", () => {
    const known = ["from", "to", "dates"];
    expect(way(navigate(asking(flight, { scores: { entry: 0.9 }, known })))).toBe(
      "from to dates class",
    );
  });
  it("is passed over after the missing answer", () => {
    const known = ["from", "to", "dates", "name"];
    expect(way(navigate(asking(flight, { at: "to", known })))).toBe("dates class");
  });
  it("is passed over with its tools where the author lets a step be skipped, and only there", () => {
    const steps = (skippable: boolean): StepInit => [
      {
        id: "code",
        collects: ["code"],
        toolIds: ["send"],
        skippable,
        transitions: [{ toStepId: "b" }],
      },
      { id: "b", terminal: true },
    ];
    const given = { scores: { entry: 0.9 }, known: ["code"] };
    expect(way(navigate(asking(steps(true), given)))).toBe("code b");
    expect(way(navigate(asking(steps(false), given)))).toBe("code");
  });
  it("does not hide a step that may be skipped but collects nothing", () => {
    const steps: StepInit = [
      {
        id: "hello",
        instructions: "Say hello.",
        skippable: true,
        transitions: [{ toStepId: "b" }],
      },
      { id: "b" },
    ];
    expect(way(navigate(asking(steps, { scores: { entry: 0.9 } })))).toBe("hello");
  });
});

describe("a step at which nothing is said", () => {
  const steps: StepInit = [
    {
      id: "start",
      transitions: [
        { id: "old", toStepId: "b", condition: "is a customer" },
        { id: "new", toStepId: "c", condition: "is none yet" },
        { id: "else", toStepId: "d", priority: -1 },
      ],
    },
    ...["b", "c", "d"].map((id) => ({ id, instructions: id })),
  ];
  it("is left at once, by what the message says or else by the way that needs nothing", () => {
    expect(way(navigate(asking(steps, { scores: { entry: 0.9, new: 0.8 } })))).toBe("start c");
    expect(way(navigate(asking(steps, { scores: { entry: 0.9 } })))).toBe("start d");
  });
  it("speaks when a rule of its own does", () => {
    const asked = asking(steps, { scores: { entry: 0.9 }, isRuled: () => true });
    expect(way(navigate(asked))).toBe("start");
  });
});

describe("an answer that changes", () => {
  const steps: StepInit = [
    { id: "card", collects: ["card"], transitions: [{ toStepId: "amount" }] },
    {
      id: "amount",
      collects: ["amount"],
      transitions: [
        { toStepId: "confirm", guard: "fields.amount <= 3000" },
        { toStepId: "colleague", guard: "fields.amount > 3000" },
      ],
    },
    {
      id: "confirm",
      instructions: "Sum up.",
      transitions: [
        { id: "yes", toStepId: "set", condition: "agrees" },
        { id: "no", toStepId: "kept", condition: "does not" },
      ],
    },
    { id: "set", checkpoint: true, toolIds: ["set"], transitions: [{ toStepId: "bye" }] },
    {
      id: "bye",
      instructions: "Anything else?",
      transitions: [{ toStepId: "kept", condition: "no" }],
    },
    { id: "kept", terminal: true },
    { id: "colleague", terminal: true },
  ];
  const large = { "fields.amount > 3000": true };
  const known = ["card", "amount"];

  it("leads back to the branch that depends on it, which is decided again", () => {
    const visits = been("card", "amount", "confirm");
    const after = navigate(
      asking(steps, {
        at: "confirm",
        visits,
        known,
        corrects: ["amount"],
        guards: large,
        scores: { no: 0.9 },
      }),
    );
    expect(way(after)).toBe("amount colleague");
    expect(after.visits.slice(3).map(({ reason }) => reason)).toEqual([
      VisitReason.RELOCALISATION,
      VisitReason.AUTO_ADVANCE,
    ]);
    expect(after.moves.find(({ kind }) => kind === "return")).toMatchObject({
      id: "amount",
      toStepId: "amount",
      taken: true,
    });
  });
  it("moves nothing when nothing was decided by it", () => {
    const visits = been("card", "amount", "confirm");
    const after = navigate(asking(steps, { at: "confirm", visits, known, corrects: ["card"] }));
    expect(after.position?.stepId).toBe("confirm");
  });
  it("leads back to the step whose tool is called with it", () => {
    const visits = been("card", "amount", "confirm");
    const takes: NavigationQuestion["takes"] = (step, field) =>
      step.id === "card" && field === "card";
    const question = asking(steps, { at: "confirm", visits, known, corrects: ["card"], takes });
    expect(way(navigate(question))).toMatch(/^card amount/);
  });
  it("does not lead back over a checkpoint", () => {
    const visits = been("card", "amount", "confirm", "set", "bye");
    const after = navigate(
      asking(steps, { at: "bye", visits, known, corrects: ["amount"], guards: large }),
    );
    expect(after.position?.stepId).toBe("bye");
    expect(after.reason).toContain("the checkpoint set was passed");
    expect(after.moves).toContainEqual(expect.objectContaining({ kind: "return", taken: false }));
  });
  it("is bound by no checkpoint of a way that is over, or that an operator has put aside", () => {
    const over = [
      ...been("card", "amount", "confirm", "set"),
      create(StepVisitSchema, { turn: 4, scenarioId: "returns", reason: VisitReason.EXIT }),
    ];
    const again = been("card", "amount", "confirm").map((visit) => ({ ...visit, turn: 4 }));
    const question = { at: "confirm", known, corrects: ["amount"], guards: large };
    const after = (visits: NavigationQuestion["visits"]) =>
      way(navigate(asking(steps, { ...question, visits })));
    expect(after([...over, ...again])).toBe("amount colleague");
    const put = again.map((visit, i) => ({
      ...visit,
      reason: i === 0 ? VisitReason.OVERRIDE : VisitReason.TRANSITION,
    }));
    expect(after([...over.slice(0, -1), ...put])).toBe("amount colleague");
  });
  it("is of no account for a field that no step of the way asked for", () => {
    const visits = been("amount", "confirm");
    const question = asking(steps, { at: "confirm", visits, known, corrects: ["card"] });
    expect(navigate(question).position?.stepId).toBe("confirm");
  });
  it("leads back only so often, then the session stays and says why", () => {
    const visits = been("card", "amount", "amount", "amount", "amount", "amount", "confirm");
    const { position, reason } = navigate(
      asking(steps, { at: "confirm", visits, known, corrects: ["amount"], guards: large }),
    );
    expect(position?.stepId).toBe("confirm");
    expect(reason).toBe("loop: 5 visits of amount within 10 turns");
  });
});

describe("another scenario", () => {
  const steps: StepInit = [
    {
      id: "a",
      instructions: "Ask.",
      transitions: [{ id: "on", toStepId: "b", condition: "goes on" }],
    },
    { id: "b", terminal: true },
  ];
  const taxi = {
    id: "taxi",
    name: "taxi",
    entryCondition: "wants a taxi",
    steps: [{ id: "pick", instructions: "Where from?" }],
  };
  const inside = { at: "a", others: [taxi] };

  it("is switched to when the message clearly begins it", () => {
    const { position, visits } = navigate(asking(steps, { ...inside, scores: { taxi: 0.9 } }));
    expect(position).toMatchObject({ scenarioId: "taxi", stepId: "pick" });
    expect(visits.map(({ reason }) => reason)).toEqual([VisitReason.EXIT, VisitReason.ENTRY]);
  });
  it.each<[string, Partial<NavigationQuestion> & { scores: Record<string, number> }]>([
    ["it may just be meant", { scores: { taxi: 0.7 } }],
    ["an edge may be meant as well", { scores: { taxi: 0.9, on: 0.85 } }],
    ["a rule answers the message", { scores: { taxi: 0.9 }, digression: true }],
    ["the message gives what was asked for", { scores: { taxi: 0.9 }, gives: true }],
    ["a model says to stay", { scores: { taxi: 0.9 }, judged: { kind: "stay", confidence: 0.9 } }],
    ["a relation keeps it from starting", { scores: { taxi: 0.9 }, blocked: new Set(["taxi"]) }],
  ])("is not switched to when %s", (_why, given) => {
    const { position } = navigate(asking(steps, { ...inside, ...given }));
    expect(position?.scenarioId).toBe("returns");
  });
  it("is switched to on a model's word, whatever the scores", () => {
    const judged = { kind: "entry", id: "taxi", confidence: 0.9 } as const;
    const { position } = navigate(asking(steps, { ...inside, scores: { on: 0.9 }, judged }));
    expect(position?.scenarioId).toBe("taxi");
  });
  it("starts in the turn in which the one before is over", () => {
    const given = { at: "b", others: [taxi], scores: { taxi: 0.7 } };
    expect(navigate(asking(steps, given)).position?.scenarioId).toBe("taxi");
  });
  it("comes first by priority when both fit about as well, else by its score, else by its place", () => {
    const scores = { entry: 0.9, taxi: 0.85 };
    const start = (priority: number, given: Record<string, number>) =>
      navigate(asking(steps, { others: [{ ...taxi, priority }], scores: given })).position
        ?.scenarioId;
    expect(start(10, scores)).toBe("taxi");
    expect(start(0, scores)).toBe("returns");
    expect(start(10, { entry: 0.9, taxi: 0.7 })).toBe("returns");
    expect(start(0, { entry: 0.9, taxi: 0.9 })).toBe("returns");
  });
  it("starts when a relation brings it in, also out of another", () => {
    const entries = [{ scenarioId: "taxi", score: 1, entailed: true }] as const;
    expect(navigate(asking(steps, { ...inside, entries })).position?.scenarioId).toBe("taxi");
  });
});

describe("a step whose tools have not all answered", () => {
  const steps: StepInit = [
    {
      id: "get",
      toolIds: ["lab"],
      transitions: [
        { id: "ok", toStepId: "tell", guard: "is_open" },
        { id: "bad", toStepId: "sorry", guard: "has(results.lab.tool_failed)" },
      ],
    },
    { id: "tell", terminal: true },
    { id: "sorry", terminal: true },
  ];
  const guards = { is_open: true, "has(results.lab.tool_failed)": true };
  const at = (tools: "waiting" | "failed" | "done", own = guards) => {
    const given = { at: "get", guards: own, tools: { get: tools } };
    return [navigate(asking(steps, given)), goOn(asking(steps, given))].map(
      ({ position }) => position?.stepId,
    );
  };
  it("is not left by a guard", () => {
    expect(at("waiting")).toEqual(["get", "get"]);
  });
  it("is left when they have failed only by a guard that sees it", () => {
    expect(at("failed")).toEqual(["sorry", "sorry"]);
  });
  it("is left by its guards once they have", () => {
    expect(at("done")).toEqual(["tell", "tell"]);
  });
});

describe("what goes on by itself", () => {
  const round: StepInit = [
    { id: "a", transitions: [{ toStepId: "b", guard: "t" }] },
    { id: "b", transitions: [{ toStepId: "a", guard: "t" }] },
  ];
  it("is limited for the whole turn, however often it is gone on, and says that it stopped", () => {
    const guards = { t: true };
    const first = navigate(asking(round, { scores: { entry: 0.9 }, guards }));
    const { position, visits, lowConfidenceTurns } = first;
    const second = goOn(asking(round, { position, visits, lowConfidenceTurns, guards }));
    expect([first.entered.length, second.entered.length]).toEqual([6, 0]);
    expect(second.reason).toBe("stops after 5 moves without the customer");
  });
  it("comes to rest for good when it goes round in a circle turn after turn", () => {
    let state: Pick<Navigation, "position" | "visits" | "lowConfidenceTurns"> = navigate(
      asking(round, { scores: { entry: 0.9 }, guards: { t: true } }),
    );
    let reason = "";
    for (let turn = 6; turn < 9; turn++) {
      const { position, visits, lowConfidenceTurns } = state;
      const next = navigate(
        asking(round, { position, visits, lowConfidenceTurns, turn, guards: { t: true } }),
      );
      ({ reason } = next);
      state = next;
    }
    expect(reason).toMatch(/^loop: 5 visits/);
    expect(state.visits).toHaveLength(10);
  });
});

describe("a place that is looked for", () => {
  const steps: StepInit = [
    {
      id: "a",
      instructions: "Ask.",
      transitions: [
        { id: "to-b", toStepId: "b", condition: "b" },
        { id: "to-pay", toStepId: "pay", condition: "pay" },
        { id: "to-shut", toStepId: "shut", condition: "shut", guard: "never" },
        { id: "to-vip", toStepId: "vip", condition: "vip" },
      ],
    },
    { id: "b", instructions: "B." },
    {
      id: "pay",
      checkpoint: true,
      toolIds: ["pay"],
      transitions: [{ id: "to-past", toStepId: "past", condition: "past" }],
    },
    { id: "past", instructions: "Past." },
    { id: "shut", instructions: "Shut." },
    { id: "vip", requiredFields: [{ field: "email", verified: true }], instructions: "Vip." },
  ];
  it.each(["to-pay", "to-past", "to-shut", "to-vip"])("is not found by %s", (edge) => {
    const given = { at: "gone", visits: been("a"), scores: { [edge]: 0.95, "to-b": 0.3 } };
    const { position, reason } = navigate(asking(steps, given));
    expect(position).toBeUndefined();
    expect(reason).toContain("no step fits");
  });
  it("is where the best of the open ways leads", () => {
    const given = { at: "gone", visits: been("a"), scores: { "to-pay": 0.95, "to-b": 0.75 } };
    expect(navigate(asking(steps, given)).position?.stepId).toBe("b");
  });
  it("is not lost for ways that are shut, nor when a model is sure to stay", () => {
    const only: StepInit = [
      {
        id: "a",
        instructions: "A.",
        transitions: [{ toStepId: "b", condition: "b", guard: "never" }],
      },
      { id: "b" },
    ];
    expect(navigate(asking(only, { at: "a" })).lowConfidenceTurns).toBe(0);
    const stays = asking(steps, { at: "a", judged: { kind: "stay", confidence: 0.9 } });
    expect(navigate(stays).lowConfidenceTurns).toBe(0);
    const unsure = asking(steps, { at: "a", judged: { kind: "stay", confidence: 0.4 } });
    expect(navigate(unsure).lowConfidenceTurns).toBe(1);
  });
});

describe("an opening, in which nothing is said", () => {
  it("stays where the session is, at a terminal step, too", () => {
    const steps: StepInit = [
      { id: "a", instructions: "A.", transitions: [{ toStepId: "end" }] },
      { id: "end", terminal: true },
    ];
    for (const at of ["a", "end"]) {
      const { position, lowConfidenceTurns } = navigate(
        asking(steps, { at, heard: false, lowConfidenceTurns: 1 }),
      );
      expect([position?.stepId, lowConfidenceTurns]).toEqual([at, 1]);
    }
  });
});
