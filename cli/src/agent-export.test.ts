import { create, type JsonObject } from "@bufbuild/protobuf";
import { AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { TemplateKind, TemplateMode, VariablePolicy } from "@soldier/proto/config/v1/template";
import { ResultLifespan } from "@soldier/proto/config/v1/tool";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exportAgent, writeAgentFiles } from "./agent-export.ts";
import { readAgentFiles } from "./agent-files.ts";
import { openApi } from "./api.ts";
import { folderWith, openFakeApi } from "./testing.ts";

describe("an exported agent", () => {
  it.each(["shop", "bank"])("reads as what it was: %s", async (name) => {
    const { document } = await readAgentFiles(`examples/${name}`);
    const api = await openFakeApi(document);
    const directory = folderWith();
    const written = await exportAgent(openApi({ ...api, agent: undefined }), name, directory);
    expect(written).toContain(`${directory}/rule-groups.yaml`);
    expect((await readAgentFiles(directory)).document).toEqual(document);
  });

  it("keeps how strictly templates are used, what they need and what they are for", async () => {
    const directory = folderWith({
      "agent.yaml": `
agent: { slug: shop, settings: { reply_mode: EXCLUSIVE } }
scenarios:
  - name: food
    entry_condition: hungry
    reply_mode: SUGGEST
    steps: [{ id: ask, terminal: true, reply_mode: EXCLUSIVE }]
templates:
  - { name: ready, text: "Ready: {generative.what}.", required_names: [order.id] }
  - { name: look, text: Let me look., kind: PREAMBLE }
`,
    });
    const { document } = await readAgentFiles(directory);
    expect(document).toMatchObject({
      agent: { settings: { replyMode: TemplateMode.EXCLUSIVE } },
      scenarios: [
        { replyMode: TemplateMode.SUGGEST, steps: [{ replyMode: TemplateMode.EXCLUSIVE }] },
      ],
      templates: [{ requiredNames: ["order.id"] }, { kind: TemplateKind.PREAMBLE }],
    });
    const copy = folderWith();
    await writeAgentFiles(document, copy);
    expect((await readAgentFiles(copy)).document).toEqual(document);
  });

  it("keeps what tools may do, what they go before, and when variables are fetched", async () => {
    const directory = folderWith({
      "agent.yaml": `
agent: { slug: bank }
tools:
  - name: shekels
    consequential: true
    directs: true
    result_lifespan: TURN
    preferred_over_tool_ids: [transfer]
    mcp: { url: https://mcp.test, tool: x }
variables:
  - { name: plan, tool_id: fetch, refresh_cron: "*/15 * * * *", cache_ttl: 60s, policy: ON_EACH_TURN }
`,
    });
    const { document } = await readAgentFiles(directory);
    expect(document).toMatchObject({
      tools: [
        {
          consequential: true,
          directs: true,
          resultLifespan: ResultLifespan.TURN,
          preferredOverToolIds: ["transfer"],
        },
      ],
      variables: [{ refreshCron: "*/15 * * * *", policy: VariablePolicy.ON_EACH_TURN }],
    });
    const copy = folderWith();
    await writeAgentFiles(document, copy);
    expect((await readAgentFiles(copy)).document).toEqual(document);
  });

  it("keeps any text and any JSON as it is", async () => {
    const text = fc.string({ unit: "binary", minLength: 1, maxLength: 40 });
    const key = text.filter((name) => name !== "__proto__");
    const json = fc.dictionary(key, fc.jsonValue({ stringUnit: "binary" }));
    const values = json.filter((value) => !JSON.stringify(value).includes("__proto__"));
    const directory = folderWith();
    await fc.assert(
      fc.asyncProperty(text, values, async (words, schema) => {
        const document = create(AgentDocumentSchema, {
          agent: { slug: "shop", instructions: words },
          templates: [{ name: "yes", text: words }],
          tools: [
            {
              name: "find",
              inputSchema: schema as JsonObject, // generated as such
              kind: {
                case: "http",
                value: { method: "GET", url: "x", headers: { [words]: "no" } },
              },
            },
          ],
        });
        await writeAgentFiles(document, directory);
        expect((await readAgentFiles(directory)).document).toEqual(document);
      }),
      { numRuns: 50 },
    );
  });

  it("takes the place of an earlier export, and leaves other files alone", async () => {
    const directory = folderWith({ "readme.md": "ours" });
    const whole = create(AgentDocumentSchema, {
      agent: { slug: "shop" },
      rules: [{ name: "greet" }],
    });
    await writeAgentFiles(whole, directory);
    const less = create(AgentDocumentSchema, { agent: { slug: "shop" } });
    await writeAgentFiles(less, directory);
    expect((await readAgentFiles(directory)).document).toEqual(less);
  });

  it("is not written among files that would be read along with it", async () => {
    const document = create(AgentDocumentSchema, { agent: { slug: "shop" } });
    const directory = folderWith({ "more/rules.yaml": "rules: []\n" });
    await expect(writeAgentFiles(document, directory)).rejects.toThrow("(more/rules.yaml)");
    const file = `${folderWith({ file: "x" })}/file`;
    await expect(writeAgentFiles(document, file)).rejects.toThrow("cannot be made a folder");
  });
});
