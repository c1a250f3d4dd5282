import { Fault } from "@soldier/kernel/fault";
import { register } from "prom-client";
import { describe, expect, it } from "vitest";
import { observed } from "./observed.ts";

class CountingStore {
  #count = 0;
  async add(n: number): Promise<number> {
    this.#count += n;
    return this.#count;
  }
  async refuse(code: string): Promise<never> {
    throw Object.assign(new Error("from the driver"), { code });
  }
  async *all(): AsyncGenerator<number> {
    yield this.#count;
  }
}

async function outcomes(method: string): Promise<readonly unknown[]> {
  const metric = await register.getSingleMetric("soldier_store_duration_seconds")?.get();
  const values = metric?.values ?? [];
  return values
    .filter(({ labels }) => labels["method"] === method && !("le" in labels))
    .map(({ labels }) => labels["outcome"]);
}

describe("an observed store", () => {
  const store = observed("counting-store", new CountingStore());

  it("does what the store does, private state and iterables too", async () => {
    expect(await store.add(2)).toBe(2);
    expect(await store.add(3)).toBe(5);
    for await (const n of store.all()) expect(n).toBe(5);
  });

  it("measures each method by outcome", async () => {
    await store.add(1);
    expect(await outcomes("add")).toContain("ok");
    await store.refuse("ECONNREFUSED").catch(() => {});
    expect(await outcomes("refuse")).toContain("unavailable");
  });

  it.each([
    ["ECONNREFUSED", "unavailable"],
    ["CONNECTION_CLOSED", "unavailable"],
    ["53300", "unavailable"],
    ["57014", "deadline"],
    ["40001", "conflict"],
  ])("tells the driver's %s as %s", async (code, kind) => {
    const error = await store.refuse(code).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ kind, cause: { code } });
  });

  it("leaves other errors as they are", async () => {
    await expect(store.refuse("23505")).rejects.toThrow("from the driver");
  });
});
