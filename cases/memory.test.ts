import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestMesh } from "@soldier/chassis/testing";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memoryCasesIn } from "./memory-file.ts";
import { openMemory, runMemoryCase } from "./run-memory-case.ts";

const cases = ["memory.json", "memory-more.json"].flatMap((file) => {
  const content: unknown = JSON.parse(readFileSync(join(import.meta.dirname, file), "utf8"));
  return memoryCasesIn(content) ?? [];
});

describeOn("the cases of memory", testDatabase(), (backend) => {
  const opened = new AsyncDisposableStack();
  let mesh: TestMesh;
  beforeAll(async () => {
    const { url } = opened.use(await backend.open());
    mesh = await openMemory(url, opened);
  });
  afterAll(() => opened.disposeAsync());

  it("are there", () => expect(cases.length).toBeGreaterThan(45));
  for (const each of cases)
    it(`${each.id} ${each.title}`, async () => {
      const { outcome, reasons } = await runMemoryCase(each, async () => mesh);
      expect({ outcome, reasons }).toEqual({ outcome: "ok", reasons: [] });
    });
});

describe("the runner of memory's cases", () => {
  const opened = new AsyncDisposableStack();
  let mesh: TestMesh;
  beforeAll(async () => {
    const [embedded] = testDatabase();
    if (!embedded) throw new Error("the embedded PostgreSQL is always there");
    const { url } = opened.use(await embedded.open());
    mesh = await openMemory(url, opened);
  });
  afterAll(() => opened.disposeAsync());
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
  it("fails what it does not know, by its key", async () => {
    expect(await run({ query: { ...good.query, mood: "good" } })).toBe(
      "fail cannot check: query.mood",
    );
    expect(await run({ query: { op: "read_minds" } })).toContain("fail cannot read query.op");
    expect(await run({ query: { op: "node_distance" } })).toContain("cannot check: node_distance");
  });
  it("heeds the order where it is what is asked for, and looks for what waits", async () => {
    const near = { op: "node_distance", center: "a", candidates: ["y", "x"] };
    expect(await run({ query: near, expect: { ids: ["x", "y"] } })).toBe("ok ");
    expect(await run({ query: near, expect: { ids: ["y", "x"] } })).toContain("fail ids");
    const stale = { ids: [], stale: ["s"] };
    expect(await run({ query: { op: "summaries" }, expect: stale })).toContain("fail stale");
  });
  it("takes a refusal only where one is expected", async () => {
    const nowhere = { ...good.query, groups: [] };
    expect(await run({ query: nowhere, expect: { error: true } })).toBe("ok ");
    expect(await run({ query: nowhere })).toContain("fail ");
    expect(await run({ expect: { error: true } })).toContain("fail error");
  });
  it("leaves files of another format alone", () => {
    expect(
      memoryCasesIn({ cases: [{ id: "A", agent: {}, given: {}, expect: {} }] }),
    ).toBeUndefined();
  });
});
