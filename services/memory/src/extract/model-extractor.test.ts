import { scriptedModel, type Script } from "@soldier/ai/scripted";
import { Fault } from "@soldier/kernel/fault";
import { silentLog } from "@soldier/kernel/log";
import { describe, expect, it } from "vitest";
import type { Episode } from "../domain/episode.ts";
import { modelExtractor } from "./model-extractor.ts";

const episode = (text: string, over: Partial<Episode> = {}): Episode => ({
  tenantId: "acme",
  id: text,
  groupId: "g",
  revision: 1,
  customerId: "ana",
  agentId: "",
  sessionId: "s1",
  turnId: "t1",
  ingestKey: text,
  role: "user",
  text,
  occurredAt: new Date("2026-03-01T10:00:00Z"),
  recordedAt: new Date("2026-03-01T10:00:00Z"),
  ...over,
});

const claim = {
  line: 0,
  quote: "I live in Leeds",
  kind: "assert",
  subject: 0,
  predicate: "lives_in",
  object: 1,
  value: "",
  valid_from: "",
  valid_to: "",
};
const nothing = { new_entities: [], claims: [] };

async function read(script: Script, texts: readonly Episode[]) {
  const model = scriptedModel(script, { prices: { input: 1, output: 1 } } as object);
  const fellBack: string[] = [];
  const called: string[] = [];
  const extract = modelExtractor({
    model,
    fallback: async (episodes) => episodes.map(() => ({ extractor: "pattern:v1", findings: [] })),
    entities: async () => [
      { id: "e-leeds", canonicalId: "e-leeds", type: "place", name: "Leeds", aliases: [] },
    ],
    predicates: async () => ["has_pet"],
    called: (call) => called.push(call.model),
    fellBack: (reason) => fellBack.push(reason),
    log: silentLog,
  });
  const readable = texts.map((one) => ({ episode: one, names: [] }));
  const found = await extract(readable, new AbortController().signal);
  return { found, model, fellBack, called };
}

describe("extraction by a model", () => {
  it("reads a session in one call, with entities by number and spans that are the text's", async () => {
    const answer = {
      new_entities: [{ name: "Anna", type: "person" }],
      claims: [
        claim,
        { ...claim, line: 1, quote: "my sister  Anna", predicate: "sister", object: 2 },
        { ...claim, line: 1, quote: "has a dog", predicate: "has_pet", object: -1, value: "dog" },
      ],
    };
    const texts = [
      episode("I live in Leeds since 2020."),
      episode("Well, my sister Anna has a dog"),
    ];
    const { found, model, called } = await read([{ json: answer }], texts);
    expect(model.calls).toBe(1);
    expect(called).toEqual([model.id]);
    expect(found[0]?.extractor).toMatch(/^llm:scripted:model@[0-9a-f]{8}$/);
    expect(found.map(({ findings }) => findings)).toMatchObject([
      [
        {
          predicate: "lives_in",
          value: { kind: "entity", id: "e-leeds" },
          spanStart: 0,
          spanEnd: 15,
        },
      ],
      [
        { predicate: "sister", value: { kind: "mention", name: "Anna", type: "person" } },
        { predicate: "has_pet", value: { kind: "literal", json: "dog" } },
      ],
    ]);
    const asked = model.requests[0]?.messages[0]?.text ?? "";
    expect(asked).toContain("1: Leeds (place)");
    expect(asked).toContain("[1] Customer (2026-03-01): Well, my sister Anna has a dog");
  });
  it.each([
    ["words that nobody said", { quote: "I live in York" }],
    ["a line that is not there", { line: 7 }],
    ["an entity that is not there", { object: 9 }],
    ["a value that is empty", { object: -1 }],
    ["a day that is none", { valid_from: "someday" }],
  ])("takes no claim from %s", async (_, wrong) => {
    const answer = { new_entities: [], claims: [{ ...claim, ...wrong }, claim] };
    const { found } = await read([{ json: answer }], [episode("I live in Leeds.")]);
    expect(found[0]?.findings).toHaveLength(1);
  });
  it("asks again once for a predicate of its own making, then leaves the session to patterns", async () => {
    const invented = { new_entities: [], claims: [{ ...claim, predicate: "resides_at" }] };
    const mended = await read(
      [{ json: invented }, { json: nothing }],
      [episode("I live in Leeds.")],
    );
    expect(mended.model.calls).toBe(2);
    expect(mended.fellBack).toEqual([]);
    const lost = await read([{ json: invented }, "I'd rather not."], [episode("I live in Leeds.")]);
    expect(lost.fellBack).toEqual(["MODEL_BAD_OUTPUT"]);
    expect(lost.found).toEqual([{ extractor: "pattern:v1", findings: [] }]);
  });
  it("leaves it to patterns when the model is away", async () => {
    const away = new Fault("unavailable", "gone", { reason: "MODEL_UNAVAILABLE" });
    const { fellBack, found } = await read([away], [episode("I live in Leeds.")]);
    expect(fellBack).toEqual(["MODEL_UNAVAILABLE"]);
    expect(found[0]?.extractor).toBe("pattern:v1");
  });
  it("does not ask about greetings", async () => {
    const texts = ["Hi!", "Thanks so much 🙏", "ok", "12345", "Good morning, thanks"].map((text) =>
      episode(text),
    );
    const { model, found } = await read([], texts);
    expect(model.calls).toBe(0);
    expect(found.every(({ findings }) => findings.length === 0)).toBe(true);
  });
  it("asks about each session by itself", async () => {
    const texts = [
      episode("I live in Leeds."),
      episode("I live in Leeds, too.", { sessionId: "s2" }),
    ];
    const { model } = await read(() => ({ json: nothing }), texts);
    expect(model.calls).toBe(2);
  });
});
