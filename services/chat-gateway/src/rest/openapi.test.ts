import { ChatService } from "@soldier/proto/chat/v1/chat_service";
import { expect, it } from "vitest";
import { forwardedServices } from "../rpc/forward.ts";
import { openApi } from "./openapi.ts";
import { restRoutes } from "./rest-routes.ts";

const routes = restRoutes([ChatService, ...forwardedServices]);
const document = openApi(routes);
const paths = document["paths"] as Record<string, Record<string, Record<string, unknown>>>;

it("every route is described, under a name of its own", () => {
  const operations = Object.values(paths).flatMap((verbs) => Object.values(verbs));
  expect(operations.length).toBe(routes.length);
  expect(new Set(operations.map((operation) => operation["operationId"])).size).toBe(routes.length);
});

it("every reference leads to a schema", () => {
  const schemas = Object.keys((document["components"] as { schemas: object }).schemas);
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)];
  expect(references.length).toBeGreaterThan(100);
  expect(
    references.map(([, name]) => name).filter((name) => !schemas.includes(name ?? "")),
  ).toEqual([]);
});

it("parameters and bodies are what the annotations say", () => {
  const get = paths["/v1/sessions/{session_id}/turns"]?.["get"];
  expect(get?.["parameters"]).toMatchObject([
    { name: "session_id", in: "path", required: true },
    { name: "page_size", in: "query", schema: { type: "integer" } },
    { name: "page_token", in: "query" },
  ]);
  const put = paths["/v1/agents/{agent_id}/rules/{rule.id}"]?.["put"];
  expect(put?.["requestBody"]).toMatchObject({
    content: { "application/json": { schema: { $ref: "#/components/schemas/config.v1.Rule" } } },
  });
  expect(JSON.stringify(paths["/v1/chat/stream"]?.["post"])).toContain("text/event-stream");
});
