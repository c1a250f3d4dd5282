import { type AnthropicServer, anthropicServer } from "@soldier/ai/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bank, consequential, money, saidAtBank, transfer } from "../testing-bank.ts";
import { judgement, wire } from "../testing-model.ts";
import { proposal } from "../testing-proposals.ts";
import { json, ToolServer } from "../testing-tools.ts";

const server = new ToolServer();
const models: AnthropicServer[] = [];
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({ ok: true })));
afterEach(async () => {
  for (const model of models.splice(0)) await model[Symbol.asyncDispose]();
});

/** What a model was asked while it judged and while it wrote, when it proposed these calls. */
async function prompts(
  text: string,
  behaviour: Parameters<typeof saidAtBank>[2],
  calls: readonly object[],
): Promise<{ readonly judging: string; readonly writing: string }> {
  const model = await anthropicServer([wire(judgement([], { calls })), wire("Done.")]);
  models.push(model);
  await saidAtBank(server, text, behaviour, {
    model: { provider: "anthropic", api_key: "k", base_url: model.url },
  });
  const [judging, writing] = model.requests.map((request) =>
    [...request.system, ...request.messages].map((part) => JSON.stringify(part)).join("\n"),
  );
  return { judging: judging ?? "", writing: writing ?? "" };
}

describe("a model that proposes calls", () => {
  it("is told what the tools want, what rules say of it, and what is known", async () => {
    const double = { name: "double", condition: "in euros", action: "Multiply the amount by 2." };
    const { judging } = await prompts(
      "transfer money in euros",
      {
        agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
        rules: [transfer, { ...double, examples: ["transfer money in euros"] }],
        tools: [
          money("transfer", { ...consequential, arguments: { from: { constant: "the bank" } } }),
        ],
        variables: [
          { name: "today", description: "Today's date", defaultValue: "17 January 2025" },
        ],
        fieldDefinitions: [{ name: "secret", consentPurpose: "marketing" }],
      },
      [],
    );
    expect(judging).toContain(String.raw`t1: {\"name\":\"transfer\"`);
    expect(judging).toContain(String.raw`\"consequential\":true`);
    expect(judging).not.toContain(String.raw`\"from\":{\"type\"`);
    expect(judging).toContain("today (Today's date): 17 January 2025");
    expect(judging).toContain("when in euros: Multiply the amount by 2.");
  });
});

describe("a model that writes", () => {
  it("is told what was left undone, and why", async () => {
    const call = proposal("t1", { amount: 5, from: "Ann", to: "Bob" }, false);
    const { writing } = await prompts(
      "transfer money, 5 from Ann to Bob, maybe tomorrow",
      bank(consequential),
      [call],
    );
    expect(writing).toContain("<not_done>");
    expect(writing).toContain("transfer: the customer has not clearly asked for it to be done now");
  });
  it("is told what may have been done or not, and that it must not guess", async () => {
    server.answer = () => {};
    const call = proposal("t1", { amount: 5, from: "Ann", to: "Bob" });
    const text = "transfer money, 5 from Ann to Bob";
    const { writing } = await prompts(text, bank({ timeout: "0.2s" }), [call]);
    expect(writing).toContain("TIMEOUT_OUTCOME_UNKNOWN");
    expect(writing).toContain("never that it was done or was not");
  });
  it("is to ask for all that is lacking at once", async () => {
    const { writing } = await prompts("transfer money to Bob", bank(), [
      proposal("t1", { to: "Bob" }),
    ]);
    expect(writing).toContain("tell me the amount");
    expect(writing).toContain("tell me the from");
  });
  it("can tell the results of several runs apart", async () => {
    const { writing } = await prompts("transfer money: 5 and 6 from Ann to Bob, and 7", bank(), [
      proposal("t1", { amount: 5, from: "Ann", to: "Bob" }),
      proposal("t1", { amount: 6, from: "Ann", to: "Bob" }),
      proposal("t1", { amount: 7, from: "Ann" }),
    ]);
    const told = writing.replaceAll("\\", "");
    expect(told).toContain(
      'transfer#2: {"arguments":{"amount":6,"from":"Ann","to":"Bob"},"result":{"ok":true}}',
    );
    expect(told).toContain(
      'transfer#3: {"arguments":{"amount":7,"from":"Ann"},"not_done":"missing: to"}',
    );
  });
  it("is not drowned in what a tool answers", async () => {
    server.answer = json({ all: "x".repeat(100_000) });
    const { writing } = await prompts("transfer money: 5 from Ann to Bob", bank(), [
      proposal("t1", { amount: 5, from: "Ann", to: "Bob" }),
    ]);
    expect(writing).toContain("(cut off)");
    expect(writing.length).toBeLessThan(20_000);
  });
});
