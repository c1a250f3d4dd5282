import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bank, consequential, saidAtBank, sentTo, transfer, twoTools } from "../testing-bank.ts";
import { json, ToolServer } from "../testing-tools.ts";

const server = new ToolServer();
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({ ok: true })));

const sent = () => sentTo(server);
const said = saidAtBank.bind(undefined, server);

describe("without a model", () => {
  const ask = (from: string, to: string) => ({ from: { ask: from }, to: { ask: to } });
  const askedFor = { ...transfer, examples: ["transfer money"] };
  const keyless = bank({
    ...consequential,
    arguments: { amount: { pattern: "(\\$?[\\d,]+)" }, ...ask("Who are you?", "For whom?") },
  });

  it("arguments are gathered over turns, and the call is made when it is complete", async () => {
    const desk = await server.start({ ...keyless, rules: [askedFor] });
    const first = await desk.say("transfer money: $1,500");
    expect(first.reply).toBe("Who are you?");
    const { sessionId } = first;
    expect((await desk.say("Fredric", { sessionId })).reply).toBe("For whom?");
    await desk.say("Alice", { sessionId });
    expect(sent()).toEqual([["/transfer", { amount: 1500, from: "Fredric", to: "Alice" }]]);
  });
  it("what was given for one call is not taken for the next", async () => {
    const desk = await server.start({ ...keyless, rules: [askedFor] });
    const { sessionId } = await desk.say("transfer money: 5");
    await desk.say("Fredric", { sessionId });
    await desk.say("Alice", { sessionId });
    expect((await desk.say("transfer money: 7", { sessionId })).reply).toBe("Who are you?");
  });
  it("of tools that overlap the preferred one runs", async () => {
    const free = { inputSchema: {} };
    await said("transfer money", twoTools(free), {});
    expect(sent()).toEqual([["/shekels", {}]]);
  });
});
