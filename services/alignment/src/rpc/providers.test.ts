import { afterEach, describe, expect, it } from "vitest";
import { cohereRerank, openaiEmbeddings } from "@soldier/ai/testing-embeddings";
import { ollamaServer } from "@soldier/ai/testing-ollama";
import { openaiServer } from "@soldier/ai/testing-openai";
import { Desks } from "../testing-shop.ts";
import { applies, judgement, scriptedDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const rule = (name: string, condition: string, ...examples: string[]) => ({
  name,
  condition,
  examples,
  action: `Do as ${name} says.`,
});
const shop = {
  rules: [
    rule("hours", "the customer asks for opening hours", "when do you open"),
    rule("holidays", "the customer asks when we open on holidays", "do you open on holidays"),
  ],
};
const unclear = "do you open on my birthday";
const judged = { pieces: [JSON.stringify(judgement([applies("r1")]))] };
const reply = { pieces: ["From", " nine."] };

describe("a turn", () => {
  it.each([
    { provider: "openai", serve: openaiServer, path: "/v1" },
    { provider: "ollama", serve: ollamaServer, path: "" },
  ])("is judged and written by $provider, on its own wire", async ({ provider, serve, path }) => {
    const server = await serve([judged, reply]);
    desks.closes(server);
    const model = { provider, model: "m", base_url: `${server.url}${path}` };
    const desk = await desks.start(shop, { settings: { model } });
    expect((await desk.say(unclear)).reply).toBe("From nine.");
    const { record } = desk.peers;
    expect(record.modelCalls).toMatchObject([
      { purpose: "judge", model: `${provider}:m`, failed: "" },
      { purpose: "generate", model: `${provider}:m`, failed: "", outputTokens: 2n },
    ]);
    expect(record.degradations).toEqual([]);
    expect(server.requests).toHaveLength(2);
  });

  it("finds its rules with vectors and an order from behind HTTP", async () => {
    const [embeddings, reranker] = [await openaiEmbeddings(64), await cohereRerank()];
    desks.closes(embeddings);
    desks.closes(reranker);
    const desk = await scriptedDesk(
      desks,
      shop,
      { replies: ["From nine."], structured: { judgement: judgement([applies("r1")]) } },
      {
        embedder: {
          provider: "openai",
          model: "m",
          dimensions: 64,
          base_url: `${embeddings.url}/v1`,
        },
        reranker: { provider: "cohere", model: "m", base_url: reranker.url },
      },
    );
    expect((await desk.say(unclear)).reply).toBe("From nine.");
    expect(embeddings.requests.flatMap(({ input }) => input)).toContain(unclear);
    expect(reranker.requests[0]?.query).toBe(unclear);
    expect(desk.peers.record.degradations).toEqual([]);
  });
});
