import { describe, expect, it } from "vitest";
import { pathTable, pathTemplate } from "./path-template.ts";

const templates = [
  "/v1/agents",
  "/v1/agents:apply",
  "/v1/agents/{agent_id}",
  "/v1/agents/{agent_id}/rules/{rule.id}",
  "/v1/agents/{agent_id}:freeze",
  "/v1/agents/default",
  "/v1/agents/default/rules",
];

function table() {
  const made = pathTable<string>();
  for (const template of templates) made.at(pathTemplate(template), () => template);
  return made;
}

describe("a path", () => {
  it.each([
    ["/v1/agents", "/v1/agents", []],
    ["/v1/agents:apply", "/v1/agents:apply", []],
    ["/v1/agents/shop", "/v1/agents/{agent_id}", ["shop"]],
    ["/v1/agents/a%2Fb", "/v1/agents/{agent_id}", ["a/b"]],
    ["/v1/agents/a:b", "/v1/agents/{agent_id}", ["a:b"]],
    ["/v1/agents/shop:freeze", "/v1/agents/{agent_id}:freeze", ["shop"]],
    ["/v1/agents/default", "/v1/agents/default", []],
    ["/v1/agents/default/rules/x", "/v1/agents/{agent_id}/rules/{rule.id}", ["default", "x"]],
  ])("%s matches %s", (path, found, values) => {
    expect(table().match(path)).toEqual({ found, values });
  });

  it.each([
    "/",
    "/v1",
    "/v1/agents/",
    "/v1/agents/shop/rules",
    "/v1/agents/shop/rules/x/y",
    "/v2/agents",
  ])("%s matches nothing", (path) => {
    expect(table().match(path)).toBeUndefined();
  });
});

it.each(["v1/agents", "/v1//x", "/v1/{name=shelves/*}", "/v1/**"])(
  "the template %s is refused",
  (template) => {
    expect(() => pathTemplate(template)).toThrow(template);
  },
);
