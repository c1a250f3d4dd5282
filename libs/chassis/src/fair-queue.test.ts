import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue } from "./fair-queue.ts";

const tenant = fc.constantFrom("a", "b", "c", "d");

type Move =
  | { readonly kind: "push"; readonly tenant: string }
  | { readonly kind: "shift" }
  | { readonly kind: "remove"; readonly tenant: string };

const moves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("push" as const), tenant }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("shift" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), tenant }) },
  ),
  { maxLength: 200 },
);

interface Item {
  readonly tenant: string;
  readonly number: number;
}

describe("a fair queue", () => {
  it("never holds more than it may, loses nothing, and keeps each tenant's order", () => {
    fc.assert(
      fc.property(
        moves,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 6 }),
        (all, max, tenantMax) => {
          const queue = new FairQueue<Item>({ max, tenantMax });
          const inside = new Set<Item>();
          const served = new Map<string, number>();
          let number = 0;
          for (const move of all) {
            switch (move.kind) {
              case "push": {
                const item = { tenant: move.tenant, number: ++number };
                inside.add(item);
                const refused = queue.push(move.tenant, item);
                if (refused) assert(inside.delete(refused.item));
                break;
              }
              case "shift": {
                const item = queue.shift();
                assert.equal(item === undefined, inside.size === 0);
                if (!item) break;
                assert(inside.delete(item));
                assert(item.number > (served.get(item.tenant) ?? 0));
                served.set(item.tenant, item.number);
                break;
              }
              case "remove": {
                const first = [...inside].find((item) => item.tenant === move.tenant);
                if (!first) break;
                assert(queue.remove(move.tenant, first));
                assert(!queue.remove(move.tenant, first));
                inside.delete(first);
                break;
              }
            }
            expect(queue.size).toBe(inside.size);
            expect(queue.size).toBeLessThanOrEqual(max);
            for (const one of ["a", "b", "c", "d"]) {
              expect(queue.sizeOf(one)).toBeLessThanOrEqual(tenantMax);
              expect(queue.sizeOf(one)).toBe(
                [...inside].filter((item) => item.tenant === one).length,
              );
            }
          }
        },
      ),
    );
  });

  it("serves whoever waits within as many places as there are tenants", () => {
    fc.assert(
      fc.property(fc.array(tenant, { minLength: 1, maxLength: 60 }), (pushed) => {
        const queue = new FairQueue<Item>({ max: 1_000, tenantMax: 1_000 });
        for (const [index, name] of pushed.entries())
          queue.push(name, { tenant: name, number: index });
        const since = new Map<string, number>();
        while (queue.size > 0) {
          const tenants = queue.tenants;
          const item = queue.shift();
          for (const name of new Set(pushed))
            if (name !== item?.tenant && queue.sizeOf(name) > 0) {
              const waited = (since.get(name) ?? 0) + 1;
              assert(waited < Math.max(tenants, 4));
              since.set(name, waited);
            }
          if (item) since.set(item.tenant, 0);
        }
      }),
    );
  });

  it("gives a tenant with little a place though another has filled the queue", () => {
    const queue = new FairQueue<string>({ max: 4, tenantMax: 4 });
    for (const item of ["b1", "b2", "b3", "b4"]) expect(queue.push("b", item)).toBeUndefined();
    expect(queue.push("a", "a1")).toEqual({ item: "b4", why: "queue-full" });
    expect(queue.push("a", "a2")).toEqual({ item: "b3", why: "queue-full" });
    expect(queue.push("a", "a3")).toEqual({ item: "a3", why: "queue-full" });
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([
      "b1",
      "a1",
      "b2",
      "a2",
      undefined,
    ]);
  });

  it("refuses what is over a tenant's own bound", () => {
    const queue = new FairQueue<string>({ max: 100, tenantMax: 1 });
    queue.push("b", "b1");
    expect(queue.push("b", "b2")).toEqual({ item: "b2", why: "tenant-full" });
  });

  it("passes over tenants who may not go", () => {
    const queue = new FairQueue<string>({ max: 10, tenantMax: 10 });
    queue.push("b", "b1");
    queue.push("a", "a1");
    expect(queue.shift((name) => name !== "b")).toBe("a1");
    expect(queue.shift((name) => name !== "b")).toBeUndefined();
    expect(queue.shift()).toBe("b1");
  });
});
