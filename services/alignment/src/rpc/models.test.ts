import { afterEach, describe, expect, it } from "vitest";
import { anthropicServer } from "@soldier/ai/testing";
import { Desks } from "../testing-shop.ts";
import { applies, judgement, scriptedDesk, wire, wiredDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const shop = {
  rules: [
    {
      name: "hours",
      condition: "the customer asks for opening hours",
      examples: ["what are your opening hours", "when do you open"],
      action: "Say that we open at nine.",
    },
  ],
};
const unclear = "do you open on my birthday";
const certain = "when do you open";

describe("the models of a turn", () => {
  it("are chosen by step", async () => {
    const judge = {
      provider: "scripted",
      model: "judge",
      scripted: { structured: { judgement: JSON.stringify(judgement([applies("r1")])) } },
    };
    const desk = await scriptedDesk(
      desks,
      shop,
      { replies: ["From nine."] },
      {
        models: { quick: judge },
        model_chains: { judge: ["quick"] },
      },
    );
    await desk.say(unclear);
    expect(desk.peers.record.modelCalls).toMatchObject([
      { purpose: "judge", model: "scripted:judge" },
      { purpose: "generate", model: expect.not.stringContaining("judge") },
    ]);
  });

  it("that failed before one answered are in the record, each as a call of its own", async () => {
    const spare = { provider: "scripted", model: "spare", scripted: { replies: ["From nine."] } };
    const { desk } = await wiredDesk(desks, shop, [{ status: 529, error: "overloaded_error" }], {
      models: { spare },
      model_chains: { generate: ["main", "spare"] },
    });
    expect((await desk.say(certain)).reply).toBe("From nine.");
    const { record } = desk.peers;
    expect(record.modelCalls).toMatchObject([
      { purpose: "generate", model: "anthropic:claude-sonnet-5-5", failed: "MODEL_OVERLOADED" },
      { purpose: "generate", model: "scripted:spare", failed: "" },
    ]);
    expect(record.modelCallDepth).toBe(1);
    expect(record.degradations).toEqual([]);
  });

  it("cost what their prices say, by tokens read, cached and written", async () => {
    const prices = { input: 2, output: 10, cached: 0.1, cache_write: 2.5 };
    const server = await anthropicServer([wire("From nine.")]);
    desks.closes(server);
    const model = { provider: "anthropic", api_key: "k", base_url: server.url, prices };
    const desk = await desks.start(shop, { settings: { model } });
    await desk.say(certain);
    // 25 read, 7 written to and 300 read from the cache, 1 written.
    expect(desk.peers.record.modelCalls[0]).toMatchObject({
      inputTokens: 32n,
      cachedTokens: 300n,
      outputTokens: 1n,
      costMicros: BigInt(Math.round(25 * 2 + 7 * 2.5 + 300 * 0.1 + 1 * 10)),
    });
  });

  it("write with the agent's own model and temperature", async () => {
    const behaviour = {
      ...shop,
      agent: {
        settings: { generation: { model: "anthropic:claude-haiku-4-5", temperature: 0.3 } },
      },
    };
    const { desk, server } = await wiredDesk(desks, behaviour, [
      wire(judgement([applies("r1")])),
      wire("From nine."),
    ]);
    await desk.say(unclear);
    expect(server.requests).toMatchObject([
      { model: "claude-sonnet-5-5" },
      { model: "claude-haiku-4-5", temperature: 0.3 },
    ]);
    expect(server.requests[0]).not.toHaveProperty("temperature");
  });

  it("write all the same when nobody knows the one that the agent asks for", async () => {
    const behaviour = { ...shop, agent: { settings: { generation: { model: "nobody:x" } } } };
    const desk = await scriptedDesk(desks, behaviour, { replies: ["From nine."] });
    expect((await desk.say(certain)).reply).toBe("From nine.");
    expect(desk.peers.record.degradations).toEqual(["generate: AGENT_MODEL_UNKNOWN"]);
  });
});
