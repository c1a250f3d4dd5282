import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import type { DescService, JsonValue } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { requestMessage } from "./request-message.ts";
import { restRoutes } from "./rest-routes.ts";

interface Parts {
  readonly path?: readonly string[];
  readonly query?: string;
  readonly body?: JsonValue;
}

function read(service: DescService, method: string, { path = [], query = "", body }: Parts) {
  const route = restRoutes([service]).find((one) => one.method.name === method)!;
  return requestMessage(route, { pathValues: path, query: new URLSearchParams(query), body });
}

function problems(...args: Parameters<typeof read>): readonly string[] {
  try {
    read(...args);
  } catch (error) {
    if (error instanceof Fault)
      return error.fields.map(({ field, description }) => `${field}: ${description}`);
  }
  return [];
}

describe("a request", () => {
  it("takes fields from the path, also inside of the body's message", () => {
    const body = { condition: "always", meta: { etag: "e" } };
    expect(read(ConfigService, "UpdateRule", { path: ["shop", "greet"], body })).toMatchObject({
      agentId: "shop",
      rule: { id: "greet", condition: "always", meta: { etag: "e" } },
    });
  });

  it("takes the rest from the query, in either spelling", () => {
    const query = "page_size=5&sessionId=s&from=2026-01-31T12:00:00Z";
    expect(read(AuditService, "ListTurnRecords", { query })).toMatchObject({
      pageSize: 5,
      sessionId: "s",
      from: { seconds: 1769860800n },
    });
  });

  it("takes messages in the query by their fields", () => {
    const query = "depth_max=2&as_of.valid=2026-01-31T12:00:00Z";
    expect(read(MemoryService, "WalkGraph", { path: ["e"], query })).toMatchObject({
      entityId: "e",
      depthMax: 2,
      asOf: { valid: { seconds: 1769860800n } },
    });
  });

  it("may say in the body what is in the path, but nothing else", () => {
    const path = ["shop"];
    expect(read(ConfigService, "PublishAgent", { path, body: { agentId: "shop" } })).toMatchObject({
      agentId: "shop",
    });
    const other = { path, body: { agent_id: "bank" } };
    expect(problems(ConfigService, "PublishAgent", other)).toEqual([
      "agent_id: is another one in the path",
    ]);
  });

  it("may say the id of a resource that the path names", () => {
    const path = ["shop", "greeting"];
    const body = { id: "019ddf6e-7a3b-7c11-9c1e-0a4a3f2b1c00", text: "Hi" };
    expect(read(ConfigService, "UpdateTemplate", { path, body })).toMatchObject({
      template: { id: "greeting", text: "Hi" },
    });
  });

  it("needs no body when it has nothing to say", () => {
    expect(read(ConfigService, "PublishAgent", { path: ["shop"] })).toMatchObject({
      agentId: "shop",
    });
  });

  it.each<[string, DescService, string, Parts, string]>([
    [
      "twice the same parameter",
      AuditService,
      "ListTurnRecords",
      { query: "page_size=1&page_size=2" },
      "page_size: is given more than once",
    ],
    [
      "a bad number",
      AuditService,
      "ListTurnRecords",
      { query: "page_size=1.5" },
      'page_size: expected a whole number of 32 bits, got "1.5"',
    ],
    [
      "a bad time",
      AuditService,
      "ListTurnRecords",
      { query: "from=today" },
      'from: expected a point in time like 2026-01-31T12:00:00Z, got "today"',
    ],
    [
      "a parameter of a path's field",
      ConfigService,
      "GetAgent",
      { path: ["a"], query: "agent_id=b" },
      "agent_id: there is no such parameter",
    ],
    [
      "a parameter beside a whole body",
      ConfigService,
      "PublishAgent",
      { path: ["a"], query: "comment=b" },
      "comment: is no parameter of the query: send it in the body",
    ],
    [
      "a message in the query",
      MemoryService,
      "WalkGraph",
      { path: ["e"], query: "as_of=1" },
      "as_of: there is no such parameter; there are depth_max, as_of, group_id, relationships_max",
    ],
    [
      "a body that is no rule",
      ConfigService,
      "CreateRule",
      { path: ["a"], body: [1] },
      "rule: expected an object, got a list",
    ],
    [
      "a field inside of a rule",
      ConfigService,
      "CreateRule",
      { path: ["a"], body: { conditon: "x" } },
      "rule.conditon: there is no such field; did you mean condition?",
    ],
  ])("is refused for %s", (_, service, method, parts, told) => {
    expect(problems(service, method, parts)).toEqual([told]);
  });
});
