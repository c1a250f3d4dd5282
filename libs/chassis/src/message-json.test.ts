import type { JsonValue } from "@bufbuild/protobuf";
import { AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { TemplateMode } from "@soldier/proto/config/v1/template";
import { describe, expect, it } from "vitest";
import { pathText, readMessage } from "./message-json.ts";

function problems(json: JsonValue): readonly string[] {
  const { problems: found = [] } = readMessage(AgentDocumentSchema, json);
  return found.map(({ path, description }) => `${pathText(path)}: ${description}`);
}

describe("a message's JSON", () => {
  it("is told everything that is wrong with it, each by its place", () => {
    expect(
      problems({
        agent: { slug: 1, settings: { turnTimeout: "10", busyPolicy: "WAIT" } },
        rules: [
          { nme: "x", priority: "a", tags: [1, "b"], checks: [{ judge: "a", length_max: 3 }] },
        ],
        tools: [{ idempotent: "yes", http: { headers: { "x-a": 1 } }, rpc: 3 }],
        templates: {},
        bogus: 1,
      }),
    ).toEqual([
      "agent.slug: expected text, got 1",
      'agent.settings.turn_timeout: expected a duration in seconds like 10s or 0.5s, got "10"',
      "agent.settings.busy_policy: is none of QUEUE, REJECT, SUPERSEDE",
      "rules[0].nme: there is no such field; did you mean name?",
      'rules[0].priority: expected a whole number of 32 bits, got "a"',
      "rules[0].tags[0]: expected text, got 1",
      "rules[0].checks[0]: may have only one of length_max, judge",
      'tools[0].idempotent: expected true or false, got "yes"',
      'tools[0].http.headers["x-a"]: expected text, got 1',
      "tools[0].rpc: expected an object, got 3",
      "tools[0]: may have only one of http, rpc",
      "templates: expected a list, got an object",
      "bogus: there is no such field",
    ]);
  });

  it("may leave an enum's prefix out", () => {
    const json = {
      templates: [{ mode: "EXCLUSIVE" }, { mode: "TEMPLATE_MODE_FALLBACK" }, { mode: 1 }],
    };
    const modes = readMessage(AgentDocumentSchema, json).message?.templates.map(({ mode }) => mode);
    expect(modes).toEqual([TemplateMode.EXCLUSIVE, TemplateMode.FALLBACK, TemplateMode.SUGGEST]);
    expect(problems({ templates: [{ mode: "EXCLUSIV" }] })).toEqual([
      "templates[0].mode: is none of SUGGEST, EXCLUSIVE, FALLBACK; did you mean EXCLUSIVE?",
    ]);
  });

  it("may have null for a field that is not there, and for a value that is null", () => {
    const json = { agent: null, variables: [{ default_value: null }] };
    const { message } = readMessage(AgentDocumentSchema, json);
    expect([message?.agent, message?.variables[0]?.defaultValue?.kind.case]).toEqual([
      undefined,
      "nullValue",
    ]);
  });

  it("may not give a field twice in its two spellings", () => {
    expect(problems({ rule_groups: [], ruleGroups: [] })).toEqual(["rule_groups: is given twice"]);
  });

  it("may not be nested without end", () => {
    let deep: JsonValue = 1;
    for (let depth = 0; depth < 10_000; depth++) deep = [deep];
    expect(problems({ variables: [{ default_value: deep }] })).toEqual([
      "variables[0].default_value: expected any JSON, nested less deep, got a list",
    ]);
  });
});
