import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  bank,
  consequential,
  outcomes,
  saidAtBank,
  sentTo,
  transfer,
  twoTools,
} from "../testing-bank.ts";
import { proposal, proposing } from "../testing-proposals.ts";
import { json, ToolServer } from "../testing-tools.ts";

const server = new ToolServer();
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({ ok: true })));

const sent = () => sentTo(server);
const said = saidAtBank.bind(undefined, server);

describe("calls that a model proposes", () => {
  const alice = { amount: 200, from: "Fredric", to: "Alice" };
  const bob = { amount: 100, from: "Fredric", to: "Bob" };

  it("run one after the other, each under a key of its own", async () => {
    const { desk, completed } = await said(
      "transfer money: 200 to Alice, 100 to Bob. I am Fredric",
      bank(),
      proposing(proposal("t1", alice), proposal("t1", bob)),
    );
    expect(sent()).toEqual([
      ["/transfer", alice],
      ["/transfer", bob],
    ]);
    const keys = server.asked.map(({ headers }) => headers["idempotency-key"]);
    const { toolId } = desk.peers.record.toolCalls[0] ?? {};
    expect(keys).toEqual([1, 2].map((n) => `${completed.turn?.id}:${toolId}:${n}`));
  });
  it("come with the judgement of the message, so that a turn asks twice at most", async () => {
    const { desk } = await said(
      "transfer money: 200 to Alice. I am Fredric",
      bank(consequential),
      proposing(proposal("t1", alice)),
    );
    expect(sent()).toEqual([["/transfer", alice]]);
    const { modelCalls, modelCallDepth } = desk.peers.record;
    expect(modelCalls.map(({ purpose }) => purpose)).toEqual(["judge", "generate"]);
    expect(modelCallDepth).toBe(2);
  });
  it("that are complete run, and one that is not stands in nobody's way: it is asked for", async () => {
    const incomplete = { amount: 300, from: "Fredric" };
    const { desk } = await said(
      "transfer money: 200 to Alice, and 300, not to Alice. I am Fredric",
      bank(consequential),
      proposing(proposal("t1", alice), proposal("t1", incomplete)),
    );
    expect(sent()).toEqual([["/transfer", alice]]);
    expect(outcomes(desk)).toMatchObject([
      { outcome: "SUCCEEDED" },
      { outcome: "MISSING_ARGUMENTS", missingArguments: ["to"] },
    ]);
    const { awaited } = desk.peers.commits[0]?.state ?? {};
    expect(awaited?.for.value).toMatchObject({ argument: "to" });
  });
  it("are of one tool where two would do: the one that is preferred", async () => {
    const bobDollars = { amount: 300, from: "Fredric", to: "Bob" };
    const { desk } = await said(
      "transfer money: 200 shekels to Alice, $300 to Bob and 100 shekels to Bob. I am Fredric",
      twoTools(),
      proposing(
        proposal("t2", alice),
        proposal("t1", alice), // the same wish once more, of the general tool
        proposal("t1", bobDollars),
        proposal("t2", bob),
      ),
    );
    expect(sent()).toEqual([
      ["/transfer", bobDollars],
      ["/shekels", alice],
      ["/shekels", bob],
    ]);
    expect(outcomes(desk)).toContainEqual(
      expect.objectContaining({ name: "transfer", reason: "TOOL_NOT_PREFERRED" }),
    );
  });
  it("of neither tool run while what both need is missing, and it is asked for once", async () => {
    const { desk } = await said(
      "can I transfer money to my friend Alice, 200 shekels?",
      twoTools(),
      proposing(proposal("t2", { amount: 200, to: "Alice" })),
    );
    expect(sent()).toEqual([]);
    expect(outcomes(desk)).toMatchObject([
      { name: "transfer", reason: "TOOL_NOT_PREFERRED", missingArguments: [] },
      { name: "shekels", outcome: "MISSING_ARGUMENTS", missingArguments: ["from"] },
    ]);
  });
  it("wait for the customer's clear wish where what they do can't be taken back", async () => {
    const { desk } = await said(
      "transfer money: 200 to Alice, I am Fredric. But I'm not sure, maybe tomorrow.",
      bank(consequential),
      proposing(proposal("t1", alice, false)),
    );
    expect(sent()).toEqual([]);
    expect(outcomes(desk)).toMatchObject([{ outcome: "REFUSED", reason: "TOOL_NOT_ASKED_FOR" }]);
    expect(desk.peers.commits[0]?.state?.awaited).toBeUndefined();
  });
  it("are bounded in number", async () => {
    const many = Array.from({ length: 25 }, (_, i) => ({ ...alice, amount: i + 1 }));
    const { desk } = await said(
      "transfer money: 1 to 25 to Alice. I am Fredric",
      bank(),
      proposing(...many.map((each) => proposal("t1", each))),
    );
    expect(sent()).toHaveLength(20);
    const refused = outcomes(desk).filter(({ reason }) => reason === "TOOL_BUDGET_SPENT");
    expect(refused).toHaveLength(5);
  });
  it("are the same call when they are the same", async () => {
    const again = { to: "Alice", from: "Fredric", amount: 200 };
    await said(
      "transfer money: 200 to Alice. I am Fredric",
      bank(),
      proposing(proposal("t1", alice), proposal("t1", again)),
    );
    expect(sent()).toHaveLength(1);
  });
  it("may not use a number that nobody said where a mistake can't be mended", async () => {
    const { desk } = await said(
      "transfer money to Alice. I am Fredric",
      bank(consequential),
      proposing(proposal("t1", alice)),
    );
    expect(outcomes(desk)).toMatchObject([
      { outcome: "MISSING_ARGUMENTS", missingArguments: ["amount"] },
    ]);
    expect(desk.peers.record.toolCalls[0]?.reason).toContain("proposed but not said: amount");
  });
  it("may change a number as a rule says", async () => {
    const euros = {
      name: "euros",
      condition: "the transfer is in euros",
      examples: ["transfer money in euros"],
      action: "Multiply the amount by 2.",
    };
    await said(
      "transfer money: 1,500 euros to Alice. I am Fredric",
      {
        agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
        ...bank(consequential),
        rules: [transfer, euros],
        relations: [
          {
            kind: "RELATION_KIND_ENTAILS",
            from: { ruleId: "transfer" },
            to: [{ ruleId: "euros" }],
          },
        ],
      },
      proposing(proposal("t1", { ...alice, amount: 3000 })),
    );
    expect(sent()).toEqual([["/transfer", { ...alice, amount: 3000 }]]);
  });
});
