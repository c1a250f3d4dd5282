import { describe, expect, it } from "vitest";
import { startExampleBackend } from "./backend.ts";

describe("the example backend", () => {
  it("knows its orders", async () => {
    await using backend = await startExampleBackend({ port: 0, today: new Date("2026-11-01") });
    const found = await fetch(`${backend.url}/shop/orders/l-10311`).then((res) => res.json());
    expect(found).toMatchObject({ order_id: "L-10311", found: true, returnable: false });
    const missing = await fetch(`${backend.url}/shop/orders/L-99999`).then((res) => res.json());
    expect(missing).toMatchObject({ found: false });
  });

  it("does a thing once for one idempotency key, and counts it", async () => {
    await using backend = await startExampleBackend({ port: 0 });
    const post = () =>
      fetch(`${backend.url}/shop/returns`, {
        method: "POST",
        headers: { "idempotency-key": "k1" },
        body: JSON.stringify({ order_id: "L-10423" }),
      }).then((res) => res.json());
    expect(await post()).toEqual(await post());
    expect(backend.effects.get("POST /shop/returns")).toBe(1);
  });

  it("refuses what it does not know", async () => {
    await using backend = await startExampleBackend({ port: 0 });
    expect((await fetch(`${backend.url}/nowhere`)).status).toBe(404);
    const bad = await fetch(`${backend.url}/shop/returns`, { method: "POST", body: "{" });
    expect(bad.status).toBe(400);
  });
});
