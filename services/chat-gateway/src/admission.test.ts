import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { newId } from "@soldier/kernel/ids";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, openGateway, send, tokenFor, unlimited } from "./testing.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway({ settings: unlimited });
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe("tokens", () => {
  const cases: readonly [string, () => Promise<string | undefined>, string][] = [
    ["no token", async () => undefined, "TOKEN_MISSING"],
    ["an expired token", () => tokenFor({ lifeSeconds: -60 }), "TOKEN_EXPIRED"],
    ["a forged token", () => tokenFor({ secret: "x".repeat(40) }), "TOKEN_INVALID"],
    ["another algorithm", () => tokenFor({ algorithm: "HS512" }), "TOKEN_INVALID"],
    ["another audience", () => tokenFor({ audience: "someone" }), "TOKEN_INVALID"],
    ["another issuer", () => tokenFor({ issuer: "someone" }), "TOKEN_INVALID"],
    ["no tenant", () => tokenFor({ tenant: "" }), "TOKEN_INVALID"],
    [
      "a token of later",
      () => tokenFor({ notBefore: new Date(Date.now() + 60_000) }),
      "TOKEN_INVALID",
    ],
    ["no token at all but text", async () => "let me in", "TOKEN_INVALID"],
  ];

  it.each(cases)("%s is refused with 401", async (_, make, reason) => {
    const token = await make();
    const res = await fetch(`${gateway.url}/v1/sessions/${newId()}`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    expect([res.status, await res.json()]).toMatchObject([401, { error: { reason } }]);
    expect(res.headers.get("www-authenticate")).toContain('Bearer realm="soldier"');
    expect(gateway.reached.every(({ identity }) => identity.tenantId !== "")).toBe(true);
  });

  it("are not asked for by the documents", async () => {
    for (const path of ["/", "/openapi.json"])
      expect((await fetch(gateway.url + path)).status).toBe(200);
  });
});

describe("limits of a tenant", () => {
  const limits = { requests_per_second: 0.001, burst: 2, turns_max: 1 };

  it("hold its rate of requests, whatever the protocol, and leave others alone", async () => {
    await using strict = await openGateway({ settings: { limits } });
    const token = await tokenFor();
    const ask = (as: string) =>
      fetch(`${strict.url}/v1/sessions/${newId()}`, { headers: { authorization: `Bearer ${as}` } });
    expect((await ask(token)).status).toBe(200);
    const client = createClient(
      SessionService,
      createConnectTransport({ baseUrl: strict.url, httpVersion: "1.1" }),
    );
    await client.getSession(
      { sessionId: newId() },
      { headers: { authorization: `Bearer ${token}` } },
    );
    const refused = await ask(token);
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { reason: "RATE_LIMITED", code: "RESOURCE_EXHAUSTED" } },
    ]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(100);
    expect((await ask(await tokenFor())).status).toBe(200);
  });

  it("hold the number of its turns at a time", async () => {
    await using strict = await openGateway({ settings: { limits: { turns_max: 1 } } });
    const tenant = newId();
    const turn = async (message: string, signal?: AbortSignal) =>
      send(strict, "POST", "/v1/chat/stream", {
        token: await tokenFor({ tenant }),
        body: { agent: "shop", message },
        ...(signal && { signal }),
      });
    const leaving = new AbortController();
    await turn("slow", leaving.signal);
    const refused = await turn("hi");
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { reason: "RATE_LIMITED" } },
    ]);
    leaving.abort();
    await expect.poll(() => strict.cancelled.length).toBe(1);
    const free = await turn("hi");
    expect(free.status).toBe(200);
    expect(await free.text()).toContain("You said: hi");
  });
});

describe("pages of other origins", () => {
  const preflight = (url: string, origin: string) =>
    fetch(`${url}/v1/chat`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  it("may not call unless they are on the list", async () => {
    expect((await preflight(gateway.url, "https://shop.example")).status).toBe(405);
    await using open = await openGateway({
      settings: { allowed_origins: ["https://shop.example"] },
    });
    const allowed = await preflight(open.url, "https://shop.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    const other = await preflight(open.url, "https://other.example");
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });
});
