import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { ToolSchema } from "@soldier/proto/config/v1/tool";
import { describe, expect, it } from "vitest";
import { fitted } from "./coercion.ts";
import { prepared } from "./http-request.ts";
import type { JsonRecord } from "./json.ts";
import { someValues } from "./testing.ts";
import { type ArgumentQuestion, askFor, toolArguments } from "./tool-arguments.ts";

const tool = (json: JsonObject) =>
  fromJson(ToolSchema, { name: "t", builtin: { name: "x" }, ...json });
const schema = (properties: JsonObject, required: string[] = []) => ({
  inputSchema: { type: "object", properties, required },
});
const asked = (json: JsonObject, more: Partial<ArgumentQuestion> = {}) =>
  toolArguments({
    tool: tool(json),
    known: someValues(),
    messages: [""],
    awaited: undefined,
    ...more,
  });

describe("arguments", () => {
  it("come from a constant, a name, a pattern over what was said, in this order", () => {
    const known = someValues({ profile: { email: "a@b.c" } });
    const json = {
      ...schema({ a: { type: "string" }, b: { type: "string" }, c: { type: "integer" } }),
      arguments: {
        a: { constant: "fixed", from: "profile.email" },
        b: { from: "profile.email", pattern: "(x+)" },
        c: { from: "profile.age", pattern: "(\\d+) pieces" },
      },
    };
    const { values } = asked(json, { known, messages: ["7 pieces", "9 pieces"] });
    expect(values).toEqual({ a: "fixed", b: "a@b.c", c: 7 });
  });
  it("come from an answer to our question, and from what is known by the same name", () => {
    const json = schema({ name: { type: "string" }, city: { type: "string" } }, ["name", "city"]);
    const known = someValues({ fields: { city: "Bern" } });
    expect(asked(json, { known, messages: ["Ada."], awaited: "name" }).values).toEqual({
      name: "Ada",
      city: "Bern",
    });
  });
  it("that are required and nowhere to be had are missing, never guessed", () => {
    const json = schema({ amount: { type: "integer" } }, ["amount"]);
    expect(asked(json, { messages: ["some money"] }).missing).toEqual(["amount"]);
    expect(askFor(tool({ ...json, arguments: {} }), "from_account")).toContain("from account");
  });
  it("that break their schema are named", () => {
    const json = schema({ n: { type: "integer", minimum: 1 } }, ["n"]);
    const { invalid } = asked(json, { messages: ["many"], awaited: "n" });
    expect([...invalid]).toEqual([["n", "must be integer"]]);
  });
  it("fit their type when they are written as text", () => {
    expect(fitted("1,500", { type: "integer" })).toBe(1500);
    expect(fitted("yes", { type: "boolean" })).toBe(true);
    expect(fitted("refund", { enum: ["Refund", "Exchange"] })).toBe("Refund");
    expect(fitted("007", { type: "string" })).toBe("007");
  });
});

describe("an HTTP request", () => {
  const request = (method: string, url: string, values: JsonRecord, headers = {}) =>
    prepared({ $typeName: "soldier.config.v1.HttpTool", method, url, headers }, values, {
      base: "https://shop.example",
      key: "k",
    });

  it("takes arguments into its address, the rest into query or body", () => {
    const get = request("GET", "${base}/o/{id}", { id: "a/b?c", page: 2 });
    expect(get).toMatchObject({ body: undefined });
    expect("url" in get && get.url.href).toBe("https://shop.example/o/a%2Fb%3Fc?page=2");
    expect(request("POST", "${base}/o", { id: 1 }, { auth: "${key}" })).toMatchObject({
      body: '{"id":1}',
      headers: { auth: "k" },
    });
  });
  it("is refused when an argument would change where it goes, or a setting is missing", () => {
    expect(request("GET", "${base}/o/{id}/x", { id: ".." })).toMatchObject({
      refused: "TOOL_ADDRESS_INVALID",
    });
    expect(request("GET", "${nope}/o", {})).toMatchObject({ refused: "TOOL_SETTING_MISSING" });
    expect(request("GET", "file:///etc/passwd", {})).toMatchObject({
      refused: "TOOL_ADDRESS_INVALID",
    });
  });
  it("never takes a setting from an argument", () => {
    const sent = request("GET", "${base}/{id}", { id: "${key}" });
    expect("url" in sent && sent.url.href).toBe("https://shop.example/%24%7Bkey%7D");
  });
});
