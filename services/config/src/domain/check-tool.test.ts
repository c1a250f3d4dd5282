import { describe, expect, it } from "vitest";
import { exported } from "./document.ts";
import { found, settled } from "./testing.ts";

describe("a tool", () => {
  const tool = (more: object) => ({ tools: [{ name: "t", ...more } as never] });

  it("needs schemas that compile, arguments that exist and an address", () => {
    expect(
      found(
        tool({
          input_schema: { type: "object", properties: { order: { type: "strnig" } } },
          arguments: { oder: { pattern: "(?=x)" } },
          http: { method: "GET", url: "ftp://x/{odrer}", headers: { "bad name": "${Key}" } },
        }),
      ),
    ).toEqual([
      "tools/t.input_schema SCHEMA_INVALID",
      'tools/t.arguments["oder"] ARGUMENT_UNKNOWN',
      'tools/t.arguments["oder"].pattern PATTERN_INVALID',
      "tools/t.http.url ARGUMENT_UNKNOWN",
      "tools/t.http.url ADDRESS_INVALID",
      'tools/t.http.headers["bad name"] HEADER_INVALID',
      'tools/t.http.headers["bad name"] SETTING_INVALID',
    ]);
  });

  it("may be reached in every way that there is", () => {
    const ways = [
      { http: { method: "POST", url: "https://example.test/a?b={c}" } },
      { rpc: { address: "orders:50051", method: "shop.v1.Orders/GetOrder" } },
      { rpc: { address: "https://orders.test", method: "Orders/Get", connect: true } },
      { mcp: { url: "https://mcp.test", tool: "x" } },
      { builtin: { name: "set_field" } },
    ];
    expect(ways.flatMap((way) => found(tool(way)))).toEqual([]);
    expect(found(tool({ builtin: { name: "handoff" } }))).toEqual([
      "tools/t.builtin.name BUILTIN_UNKNOWN",
    ]);
    expect(found(tool({ rpc: { address: "orders", method: "Get" } }))).toEqual([
      "tools/t.rpc.method METHOD_INVALID",
      "tools/t.rpc.address ADDRESS_INVALID",
    ]);
  });
});

describe("a tool that is preferred over others", () => {
  const mcp = { mcp: { url: "https://mcp.test", tool: "x" } };
  const tools = (...preferences: readonly (readonly [string, ...string[]])[]) => ({
    tools: preferences.map(([name, ...over]) => ({ name, preferred_over_tool_ids: over, ...mcp })),
  });

  it("names them by name or id, and they must be there", () => {
    const { draft, problems } = settled(tools(["a", "b"], ["b"]) as never);
    expect(problems).toEqual([]);
    expect(draft.tools[0]?.preferredOverToolIds).toEqual([draft.tools[1]?.id]);
    expect(exported(draft).tools[0]?.preferredOverToolIds).toEqual(["b"]);
    expect(found(tools(["a", "c"], ["b"]) as never)).toEqual([
      "tools/a.preferred_over_tool_ids[0] REFERENCE_UNKNOWN",
    ]);
  });
  it("is not preferred by them, not even by way of others", () => {
    const circle = tools(["a", "b", "d"], ["b", "c"], ["c", "a"], ["d"]);
    const { problems } = settled(circle as never);
    expect(problems).toMatchObject([
      {
        field: "tools/a.preferred_over_tool_ids",
        reason: "CYCLE",
        description: expect.stringContaining("a → b → c → a"),
      },
    ]);
    expect(found(tools(["a", "a"]) as never)).toEqual(["tools/a.preferred_over_tool_ids CYCLE"]);
  });
});

describe("a variable", () => {
  const mcp = { mcp: { url: "https://mcp.test", tool: "x" } };
  const declared = { type: "object", properties: { tier: { type: "string" } } };
  const variable = (more: object, tool: object = {}) =>
    ({
      tools: [{ name: "fetch", ...mcp, ...tool }],
      variables: [{ name: "plan", tool_id: "fetch", ...more }],
    }) as never;

  it.each([
    ["refresh_cron", { refresh_cron: "*/15 * * * *", cache_ttl: "60s" }, []],
    ["refresh_cron", { refresh_cron: "every day" }, ["refresh_cron CRON_INVALID"]],
    ["refresh_cron", { refresh_cron: "0 0 0 * * *" }, ["refresh_cron CRON_INVALID"]],
    ["refresh_cron", { refresh_cron: "0 0 31 2 *" }, ["refresh_cron CRON_INVALID"]],
    ["cache_ttl", { cache_ttl: "-1s" }, ["cache_ttl TTL_INVALID"]],
    ["result_path", { result_path: "tier.name" }, []],
    ["result_path", { result_path: "a b" }, ["result_path TEMPLATE_SYNTAX"]],
    ["result_path", { result_path: "teir" }, ["result_path RESULT_PATH_INVALID"]],
    [
      "tool",
      { tool_id: "", result_path: "x", refresh_cron: "* * * * *", cache_ttl: "1s" },
      ["result_path RESULT_PATH_INVALID", "refresh_cron NO_EFFECT", "cache_ttl NO_EFFECT"],
    ],
    ["tool", { tool_id: "fetsh" }, ["tool_id REFERENCE_UNKNOWN"]],
  ])("has its %s checked: %o", (_, more, expected) => {
    const { problems } = settled(variable(more, { output_schema: declared }));
    expect(problems.map(({ field, reason }) => `${field} ${reason}`)).toEqual(
      expected.map((each) => `variables/plan.${each}`),
    );
  });
  it("has no tool whose effect needs a customer's wish", () => {
    expect(found(variable({}, { consequential: true }))).toEqual([
      "variables/plan.tool_id TOOL_CONSEQUENTIAL",
    ]);
  });
});
