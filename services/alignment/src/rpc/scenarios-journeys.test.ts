import type { JsonValue } from "@bufbuild/protobuf";
import { VisitReason } from "@soldier/proto/session/v1/session";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { TurnUnderTest } from "../testing.ts";
import { json, ToolServer } from "../testing-tools.ts";

const tool = new ToolServer();
beforeAll(() => tool.listen());
afterAll(() => tool[Symbol.asyncDispose]());
beforeEach(() => tool.reset(json({ result: "healthy" })));

/** Where the session is after the last turn, and the steps that it came through in it. */
function placeOf(desk: TurnUnderTest) {
  const { turn, state } = desk.peers.commits.at(-1) ?? {};
  const own = state?.visits.filter((visit) => visit.turn === turn?.number) ?? [];
  return {
    step: state?.position?.stepId,
    scenario: state?.position?.scenarioId,
    path: own.map(({ stepId }) => stepId),
    reasons: own.map(({ reason }) => reason),
  };
}

async function talk(desk: TurnUnderTest, texts: readonly string[]): Promise<string[]> {
  const heard: string[] = [];
  let sessionId = "";
  for (const text of texts) {
    const answer = await desk.say(text, sessionId ? { sessionId } : {});
    ({ sessionId } = answer);
    heard.push(answer.reply);
  }
  return heard;
}

const lab = (argument: Record<string, JsonValue> = {}) => ({
  scenarios: [
    {
      name: "lab",
      entryCondition: "the customer wants lab results",
      entryExamples: ["can I get my lab results"],
      steps: [
        { id: "get", toolIds: ["get-results"], transitions: [{ toStepId: "tell" }] },
        { id: "tell", templateIds: ["tell"], terminal: true },
      ],
    },
  ],
  tools: [
    {
      name: "get-results",
      inputSchema: { type: "object", properties: { patient: { type: "string" } }, ...argument },
      arguments: { patient: { pattern: "\\b(P-\\d+)\\b", ask: "Which patient?" } },
      http: { method: "GET", url: "${shop}/results" },
    },
  ],
  templates: [{ name: "tell", text: "It is {results.get-results.result}." }],
});

describe("a scenario that begins with a tool", () => {
  it("runs it at once and tells the result, with no model for the steps", async () => {
    const desk = await tool.start(lab());
    expect(await talk(desk, ["can I get my lab results?"])).toEqual(["It is healthy."]);
    expect(placeOf(desk)).toMatchObject({ path: ["get", "tell"], step: "tell" });
    expect(tool.asked).toHaveLength(1);
    expect(desk.peers.record.modelCalls).toEqual([]);
  });
  it("waits at it for what the tool lacks, and goes on when that is given", async () => {
    const desk = await tool.start(lab({ required: ["patient"] }));
    const { sessionId, reply } = await desk.say("can I get my lab results?");
    expect(reply).toBe("Which patient?");
    expect(placeOf(desk)).toMatchObject({ path: ["get"], step: "get" });
    expect(tool.asked).toEqual([]);
    expect((await desk.say("P-12", { sessionId })).reply).toBe("It is healthy.");
    expect(placeOf(desk)).toMatchObject({ path: ["tell"], step: "tell" });
  });
  it("stays at it when the tool fails", async () => {
    const desk = await tool.start(lab());
    tool.answer = json({}, 500);
    await talk(desk, ["can I get my lab results?"]);
    expect(placeOf(desk)).toMatchObject({ path: ["get"], step: "get" });
  });
});

/** Origin, destination, dates, class and name, each asked for unless known. */
const flight = {
  scenarios: [
    {
      name: "flight",
      entryCondition: "the customer wants to book a flight",
      entryExamples: ["book me a flight"],
      steps: ["origin", "destination", "dates", "class", "passenger"].map((id, i, all) => ({
        id,
        instructions: `Ask for the ${id}.`,
        collects: [id],
        terminal: i === all.length - 1,
        transitions: all.slice(i + 1, i + 2).map((toStepId) => ({ toStepId })),
      })),
    },
  ],
  fieldDefinitions: [
    { name: "origin", extractionPattern: "from (\\w+)", collectionPrompt: "From where?" },
    { name: "destination", extractionPattern: "\\bto (\\w+)", collectionPrompt: "Where to?" },
    { name: "dates", extractionPattern: "(\\d+\\.\\d+ - \\d+\\.\\d+)", collectionPrompt: "When?" },
    { name: "class", extractionPattern: "(economy|business)", collectionPrompt: "Which class?" },
    { name: "passenger", collectionPrompt: "Who flies?" },
  ],
};

describe("a scenario that collects", () => {
  it("passes over all that is known, on entry and after the missing answer", async () => {
    const desk = await tool.start(flight);
    const opening = "book me a flight from Lisbon, 12.10 - 17.10";
    expect(await talk(desk, [opening, "to Porto", "business", "Ada Lovelace"])).toEqual([
      "Where to?",
      "Which class?",
      "Who flies?",
      expect.any(String),
    ]);
    expect(desk.peers.commits.map(({ state }) => state?.position?.stepId)).toEqual([
      "destination",
      "class",
      "passenger",
      undefined,
    ]);
    expect(desk.peers.commits.at(-1)?.state?.fields).toMatchObject({
      passenger: { kind: { value: "Ada Lovelace" } },
    });
  });
});

const limit = {
  scenarios: [
    {
      name: "limit",
      entryCondition: "the customer wants another limit",
      entryExamples: ["change my limit"],
      steps: [
        {
          id: "ask",
          collects: ["amount"],
          transitions: [
            { toStepId: "confirm", guard: "has(fields.amount) && double(fields.amount) <= 3000.0" },
            {
              toStepId: "colleague",
              guard: "has(fields.amount) && double(fields.amount) > 3000.0",
            },
          ],
        },
        {
          id: "confirm",
          templateIds: ["confirm"],
          transitions: [
            { toStepId: "set", condition: "the customer agrees", examples: ["yes"] },
            { toStepId: "kept", condition: "the customer does not agree", examples: ["no"] },
          ],
        },
        {
          id: "set",
          checkpoint: true,
          toolIds: ["set-limit"],
          templateIds: ["set"],
          transitions: [{ toStepId: "kept", condition: "that is all", examples: ["that is all"] }],
        },
        { id: "colleague", templateIds: ["colleague"], terminal: true },
        { id: "kept", templateIds: ["kept"], terminal: true },
      ],
    },
    {
      name: "reset",
      entryCondition: "the customer wants to reset a password",
      entryExamples: ["I need to reset my password"],
      steps: [
        { id: "user", instructions: "Which account is it?", transitions: [{ toStepId: "bye" }] },
        { id: "bye", instructions: "Have a good day!", terminal: true },
      ],
    },
  ],
  fieldDefinitions: [
    { name: "amount", extractionPattern: "(\\d+) euro", collectionPrompt: "How much?" },
  ],
  tools: [
    {
      name: "set-limit",
      inputSchema: {
        type: "object",
        required: ["amount"],
        properties: { amount: { type: "string" } },
      },
      arguments: { amount: { from: "fields.amount" } },
      http: { method: "POST", url: "${shop}/limit" },
    },
  ],
  templates: [
    { name: "confirm", text: "It becomes {fields.amount}. Is that right?" },
    { name: "set", text: "It is {fields.amount} now." },
    { name: "colleague", text: "A colleague decides on {fields.amount}." },
    { name: "kept", text: "All right." },
  ],
};

describe("an answer that changes", () => {
  it("is taken, and the way is decided again", async () => {
    const desk = await tool.start(limit);
    const texts = ["change my limit", "500 euro", "no, make it 700 euro", "make it 5000 euro"];
    expect(await talk(desk, texts)).toEqual([
      "How much?",
      "It becomes 500. Is that right?",
      "It becomes 700. Is that right?",
      "A colleague decides on 5000.",
    ]);
    expect(placeOf(desk)).toMatchObject({
      path: ["ask", "colleague"],
      reasons: [VisitReason.RELOCALISATION, VisitReason.AUTO_ADVANCE],
    });
    expect(desk.peers.record.navigation?.moves[0]).toBeDefined();
  });
  it("does not undo what was done with the old one", async () => {
    const desk = await tool.start(limit);
    await talk(desk, ["change my limit", "500 euro", "yes", "make it 5000 euro"]);
    expect(placeOf(desk)).toMatchObject({ step: "set", path: [] });
    const { navigation } = desk.peers.record;
    expect(navigation?.reason).toContain("the checkpoint set was passed with it");
    expect(navigation?.moves).toContainEqual(
      expect.objectContaining({ kind: "return", taken: false }),
    );
    expect(desk.peers.commits.at(-1)?.state?.fields).toMatchObject({
      amount: { kind: { value: "500" } },
    });
    expect(tool.asked).toHaveLength(1);
  });
});

describe("one scenario and another", () => {
  it("starts in the turn in which the one before is over", async () => {
    const desk = await tool.start(limit);
    const texts = ["change my limit", "500 euro", "no", "I need to reset my password"];
    expect((await talk(desk, texts)).at(-1)).toBe("Which account is it?");
    expect(placeOf(desk)).toMatchObject({ scenario: "reset", path: ["", "user"] });
    expect(tool.asked).toEqual([]);
  });
  it("is switched to when the message clearly begins it, with the reason on record", async () => {
    const desk = await tool.start(limit);
    const [, reply] = await talk(desk, ["change my limit", "I need to reset my password"]);
    expect(reply).toBe("Which account is it?");
    expect(placeOf(desk).reasons).toEqual([VisitReason.EXIT, VisitReason.ENTRY]);
    expect(desk.peers.record.navigation?.moves).toContainEqual(
      expect.objectContaining({ kind: "exit", reason: "the customer begins something else" }),
    );
  });
  it("is switched to although rules are near what was said, when they are far behind it", async () => {
    const hint = {
      name: "hint",
      condition: "the customer speaks of a password",
      templateIds: ["hint"],
    };
    const desk = await tool.start({
      ...limit,
      agent: { settings: { matching: { matchThreshold: 0.1 } } },
      rules: [hint],
      templates: [...limit.templates, { name: "hint", text: "Keep it secret." }],
    });
    await talk(desk, ["change my limit", "I need to reset my password"]);
    expect(placeOf(desk).scenario).toBe("reset");
    expect(desk.peers.record.rules[0]).toMatchObject({ applied: false, eliminatedBy: "lead" });
  });
  it("is entered again after it was left", async () => {
    const desk = await tool.start(limit);
    await talk(desk, ["change my limit", "never mind", "change my limit"]);
    expect(placeOf(desk)).toMatchObject({ scenario: "limit", path: ["ask"] });
  });
});
