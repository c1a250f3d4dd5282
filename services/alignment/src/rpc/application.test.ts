import { afterEach, describe, expect, it } from "vitest";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const rule = (name: string, examples: string[], more = {}) => ({
  name,
  condition: `the customer asks about ${name}`,
  examples,
  templateIds: [name],
  ...more,
});
const said = (name: string) => ({ name, text: `${name}.` });

/** A rule that asks for a date, another, and one that only notes what is spoken of. */
const behaviour = (application: string) => ({
  agent: { settings: { fallbackTemplateId: "sorry" } },
  rules: [
    rule("laptop", ["I want to buy a laptop"], { application }),
    rule("parking", ["where can I park the car"]),
  ],
  templates: [
    said("laptop"),
    said("parking"),
    { name: "sorry", text: "Pardon?", mode: "TEMPLATE_MODE_FALLBACK" },
  ],
});

async function replies(application: string, texts: readonly string[]): Promise<string[]> {
  const desk = await desks.start(behaviour(application));
  const heard: string[] = [];
  let sessionId = "";
  for (const text of texts) {
    const answer = await desk.say(text, sessionId ? { sessionId } : {});
    ({ sessionId } = answer);
    heard.push(answer.reply);
  }
  return heard;
}

const laptop = "I want to buy a laptop";
const parking = "where can I park the car?";

describe("a one-shot rule, judged by scores", () => {
  const once = "RULE_APPLICATION_ONE_SHOT";
  it("is not applied again while its reason stays", async () => {
    expect(await replies(once, [laptop, laptop, laptop])).toEqual([
      "laptop.",
      "Pardon?",
      "Pardon?",
    ]);
  });
  it("is applied again when its condition arises anew, after a turn without it", async () => {
    expect(await replies(once, [laptop, "zyx qrv", laptop])).toEqual([
      "laptop.",
      "Pardon?",
      "laptop.",
    ]);
  });
});

describe("a continuous rule", () => {
  it("is applied whenever it matches, and no longer when the topic has moved on", async () => {
    expect(
      await replies("RULE_APPLICATION_CONTINUOUS", [laptop, laptop, parking, "zyx qrv"]),
    ).toEqual(["laptop.", "laptop.", "parking.", "Pardon?"]);
  });
});

describe("a rule that waits for the customer", () => {
  const waits = "RULE_APPLICATION_CUSTOMER_DEPENDENT";
  it("is done when the customer has answered, though the answer sounds like its condition", async () => {
    expect(await replies(waits, [laptop, "a laptop that I can buy"])).toEqual([
      "laptop.",
      "Pardon?",
    ]);
  });
  it("asks once more when something else came in between, and then no more", async () => {
    expect(await replies(waits, [laptop, parking, parking])).toEqual([
      "laptop.",
      "laptop.\n\nparking.",
      "parking.",
    ]);
  });
  it("asks anew for a new reason", async () => {
    expect(await replies(waits, [laptop, "the black one", "zyx qrv", laptop])).toEqual([
      "laptop.",
      "Pardon?",
      "Pardon?",
      "laptop.",
    ]);
  });
  it("counts what it asked, not what it waited for", async () => {
    const desk = await desks.start(behaviour(waits));
    const { sessionId } = await desk.say(laptop);
    await desk.say(parking, { sessionId });
    expect(desk.peers.record.rules.find(({ name }) => name === "laptop")).toMatchObject({
      applied: true,
      reason: "it still waits for the customer",
    });
    const fires = desk.peers.commits.at(-1)?.state?.ruleFires;
    expect(fires).toMatchObject({ laptop: { count: 1, lastTurn: 1 }, parking: { count: 1 } });
  });
});

describe("an observation", () => {
  const noted = {
    agent: { settings: { fallbackTemplateId: "sorry" } },
    rules: [
      { ...rule("refunds", ["I want a refund"]), templateIds: [] },
      rule("phones", ["which phones do you sell"]),
      rule("calm", ["never said"], { condition: "never asked" }),
    ],
    relations: [
      {
        name: "r",
        kind: "RELATION_KIND_ENTAILS",
        from: { ruleId: "refunds" },
        to: [{ ruleId: "calm" }],
      },
    ],
    templates: [
      said("phones"),
      said("calm"),
      { name: "sorry", text: "Pardon?", mode: "TEMPLATE_MODE_FALLBACK" },
    ],
  };
  it("matches, drives relations, and says nothing itself", async () => {
    const desk = await desks.start(noted);
    expect((await desk.say("I want a refund")).reply).toBe("calm.");
    const of = (name: string) => desk.peers.record.rules.find((each) => each.name === name);
    expect(of("refunds")).toMatchObject({ applied: true });
    expect(of("calm")).toMatchObject({ applied: true, reason: "added by entails: rule refunds" });
  });
  it("lapses when the topic has moved on", async () => {
    const desk = await desks.start(noted);
    const { sessionId } = await desk.say("I want a refund");
    expect((await desk.say("which phones do you sell?", { sessionId })).reply).toBe("phones.");
    const refunds = desk.peers.record.rules.find(({ name }) => name === "refunds");
    expect(refunds?.applied).toBe(false);
  });
});
