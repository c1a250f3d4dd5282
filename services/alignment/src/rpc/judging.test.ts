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
const said = (name: string, text = `${name}.`, more = {}) => ({ name, text, ...more });

describe("judgement by scores", () => {
  it("drops a rule when something else explains the message much better", async () => {
    const desk = await desks.start({
      rules: [
        rule("opening hours", ["when do you open the shop"]),
        rule("shop windows", ["who cleans the windows of the shop"]),
      ],
      templates: [said("opening hours"), said("shop windows")],
    });
    expect((await desk.say("when do you open the shop?")).reply).toBe("opening hours.");
    const other = desk.peers.record.rules.find(({ name }) => name === "shop windows");
    expect(["lead", "selection"]).toContain(other?.eliminatedBy);
  });
  it("keeps a hard constraint in force wherever it may be meant", async () => {
    const desk = await desks.start({
      agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
      rules: [
        rule("refunds", ["give me a refund please"]),
        rule("promises", ["promise me a refund please"], {
          hardConstraint: true,
          checks: [{ mustNotInclude: "promise" }],
          templateIds: [],
        }),
      ],
      templates: [
        said("refunds", "I promise a refund."),
        said("sorry", "Let me check.", { mode: "TEMPLATE_MODE_FALLBACK" }),
      ],
    });
    const { deltas } = await desk.say("give me a refund please");
    expect(deltas.join("")).not.toContain("promise");
    expect(desk.peers.record.reply).toMatchObject({ fallbackReason: "violated: promises" });
  });
  it("applies a constraint that is always on without asking, and counts it", async () => {
    const always = { hardConstraint: true, alwaysOn: true };
    const desk = await desks.start({
      rules: [{ name: "no-cards", ...always, checks: [{ mustNotMatch: "\\d{16}" }] }],
    });
    await desk.say("zyx");
    expect(desk.peers.record.rules[0]).toMatchObject({
      applied: true,
      reason: "applies without being asked",
    });
    expect(desk.peers.record.reply?.checks).toEqual([]); // the built-in sentence is ours
  });
  it("leaves steps out that the agent does without, and says so", async () => {
    const desk = await desks.start({
      agent: { settings: { disabledSteps: ["enforce", "commit", "navigate-scenario"] } },
      rules: [rule("hours", ["when do you open"])],
      templates: [said("hours")],
    });
    expect((await desk.say("when do you open")).reply).toBe("hours.");
    const skipped = desk.peers.record.steps.filter((step) => step.skipped === "switched off");
    expect(skipped.map(({ name }) => name)).toEqual(["navigate-scenario", "enforce"]);
  });
});

describe("relations in a turn", () => {
  it("let one rule silence another and bring in a third, with its tools and words", async () => {
    const settings = { alignment: { matching: { lead: 1 } } };
    const desk = await desks.start(
      {
        agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
        rules: [
          rule("damage", ["it arrived broken"]),
          rule("warranty", ["it arrived broken after a year"]),
          { name: "apology", condition: "never by itself", templateIds: ["apology"] },
        ],
        relations: [
          {
            kind: "RELATION_KIND_OVERRIDES",
            from: { ruleId: "damage" },
            to: [{ ruleId: "warranty" }],
          },
          {
            kind: "RELATION_KIND_ENTAILS",
            from: { ruleId: "damage" },
            to: [{ ruleId: "apology" }],
          },
        ],
        templates: [said("damage"), said("warranty"), said("apology", "So sorry.")],
      },
      { settings },
    );
    const { reply } = await desk.say("it arrived broken");
    expect(reply).toContain("So sorry.");
    expect(reply).not.toContain("warranty");
    const { relations, rules } = desk.peers.record;
    expect(relations.map(({ kind, effect }) => `${kind} ${effect}`).sort()).toEqual([
      "entails added",
      "overrides dropped",
    ]);
    expect(rules.find(({ name }) => name === "apology")).toMatchObject({
      applied: true,
      reason: "added by entails: rule damage",
    });
  });
  it("ask which of several was meant, and take the answer", async () => {
    const desk = await desks.start({
      agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
      rules: [
        { name: "unclear", condition: "a ride ticket", examples: ["one ticket for a ride please"] },
        rule("snake-coaster", ["one ticket for the snake ride please"]),
        rule("turtle-coaster", ["one ticket for the turtle ride please"]),
      ],
      relations: [
        {
          kind: "RELATION_KIND_DISAMBIGUATES",
          from: { ruleId: "unclear" },
          to: [{ ruleId: "snake-coaster" }, { ruleId: "turtle-coaster" }],
        },
      ],
      templates: [said("snake-coaster", "Hiss."), said("turtle-coaster", "Slow.")],
    });
    const { reply, sessionId } = await desk.say("one ticket for a ride please");
    expect(reply).toBe("Which of these do you mean?\n1. snake coaster\n2. turtle coaster");
    expect(desk.peers.commits[0]?.state?.awaited?.for.case).toBe("choice");
    expect((await desk.say("2", { sessionId })).reply).toBe("Slow.");
  });
});
