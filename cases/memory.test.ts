import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestMesh } from "@soldier/chassis/testing";
import { testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memoryCasesIn, notBuilt } from "./memory-file.ts";
import { openMemory, runMemoryCase } from "./run-memory-case.ts";

const [embedded] = testDatabase();
const opened = new AsyncDisposableStack();
let mesh: TestMesh;
beforeAll(async () => {
  if (!embedded) throw new Error("the embedded PostgreSQL is always there");
  const { url } = opened.use(await embedded.open());
  mesh = await openMemory(url, opened);
});
afterAll(() => opened.disposeAsync());

const content: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "memory.json"), "utf8"));
const cases = memoryCasesIn(content) ?? [];

describe("the cases of memory.json", () => {
  it("are of the format that this runner reads", () => {
    expect(cases.filter((each) => each.case && !notBuilt(each.case)).length).toBeGreaterThan(15);
  });
  for (const each of cases)
    it.skipIf(each.case && notBuilt(each.case))(`${each.id} ${each.title}`, async () => {
      const { outcome, reasons } = await runMemoryCase(each, async () => mesh);
      expect({ outcome, reasons }).toEqual({ outcome: "ok", reasons: [] });
    });
});

describe("the runner of memory's cases", () => {
  const good = {
    id: "X-1",
    area: "runner",
    given: {
      now: "2026-06-01",
      predicates: { lives_in: "one" },
      claims: [
        {
          id: "c1",
          kind: "assert",
          s: "a",
          p: "lives_in",
          o: "x",
          from: "2020-01-01",
          recorded_at: "2020-01-02",
        },
      ],
    },
    query: { op: "facts", subject: "a", with_intervals: true },
    expect: { ids: ["c1"], intervals: { c1: ["2020-01-01", null] } },
  };
  const run = async (changed: object) => {
    const [read] = memoryCasesIn({ cases: [{ ...good, ...changed }] }) ?? [];
    if (!read) throw new Error("a file with a case has a case");
    const { outcome, reasons } = await runMemoryCase(read, async () => mesh);
    return `${outcome} ${reasons.join("; ")}`;
  };
  it("passes what is as expected, and fails what is not", async () => {
    expect(await run({})).toBe("ok ");
    expect(await run({ expect: { ids: [] } })).toBe('fail ids: expected [], got ["c1"]');
    const intervals = { c1: ["2020-01-01", "2021-01-01"] };
    expect(await run({ expect: { ids: ["c1"], intervals } })).toContain("fail intervals.c1");
    expect(await run({ expect: {} })).toContain("fail cannot check");
  });
  it("fails what it does not know, by its key, and skips what is not built", async () => {
    expect(await run({ query: { ...good.query, mood: "good" } })).toBe(
      "fail cannot check: query.mood",
    );
    expect(await run({ given: { ...good.given, erasures: [] } })).toBe("skip erasure is not built");
    expect(await run({ query: { op: "node_distance" } })).toBe("skip node_distance is not built");
  });
  it("leaves files of another format alone", () => {
    expect(
      memoryCasesIn({ cases: [{ id: "A", agent: {}, given: {}, expect: {} }] }),
    ).toBeUndefined();
  });
});
