import { join } from "node:path";
import { testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { casesIn, type ReadCase, readCaseFile } from "./case-file.ts";
import { runOne, type Stage } from "./run-file.ts";
import { openStage } from "./stage.ts";

const [embedded] = testDatabase();
const opened = new AsyncDisposableStack();
let stage: Stage;

beforeAll(async () => {
  if (!embedded) throw new Error("the embedded PostgreSQL is always there");
  const { url } = opened.use(await embedded.open());
  stage = await openStage({ databaseUrl: url, standIn: true }, opened);
});
afterAll(() => opened.disposeAsync());

for (const file of ["behaviour.json", "more.json"])
  describe(`the cases of ${file}`, () => {
    for (const each of casesOf(file))
      it(`${each.id} ${each.title}`, async () => {
        const { outcome, reasons } = await runOne(each, async () => stage);
        // Only what a model must judge may be left open.
        const best = outcome === "skip" && each.case?.tier === "J" ? "skip" : "ok";
        expect({ outcome, reasons }).toMatchObject({ outcome: best });
      });
  });

describe("the runner", () => {
  const good = {
    id: "X-1",
    area: "runner",
    title: "a rule that is given as matched applies",
    tier: "D0",
    agent: { rules: [{ id: "a", when: "(given as matched)" }] },
    given: { matched_rules: ["a"] },
    conversation: [{ from: "customer", text: "Hello" }],
    expect: { rules_active_exactly: ["a"] },
  };
  const run = async (changed: object) => {
    const [read] = listed(casesIn({ cases: [{ ...good, ...changed }] }, "the test"));
    if (!read) throw new Error("a file with a case has a case");
    return runOne(read, async () => stage);
  };

  it("passes what is as expected", async () => {
    expect(await run({})).toMatchObject({ outcome: "ok", reasons: [] });
  });
  it.each([
    [{ rules_active_exactly: [] }, 'rules_active_exactly: expected [], got ["a"]'],
    [{ rules_dropped: ["a"] }, "rules_dropped"],
    [{ reply_contains: ["good morning"] }, "reply_contains: lacks"],
    [{ tool_calls_count: 1 }, "tool_calls_count: expected 1"],
    [{ template: "a" }, "template: expected a, got"],
    [{ config_error: "RELATION_CYCLE" }, "it was saved and published"],
    [{ llm_calls: 3 }, "llm_calls: expected 3, got 0"],
    [{ step: "s1" }, 'step: expected "s1"'],
  ])("fails what is not: %j", async (wrong, told) => {
    const { outcome, reasons } = await run({ expect: wrong });
    expect({ outcome, told: reasons.join("; ") }).toMatchObject({
      outcome: "fail",
      told: expect.stringContaining(told) as unknown,
    });
  });
  it.each([
    [{ expect: { rules_active_exactly: ["a"], mood: "good" } }, "cannot check: mood"],
    [{ given: { ...good.given, weather: "fine" } }, "cannot check: given.weather"],
    [{ agent: { ...good.agent, mood: "good" } }, "cannot check: agent.mood"],
    [{ agent: { ...good.agent, mode: "SHOUTED" } }, "cannot check: mode SHOUTED"],
    [{ expect: {} }, "cannot check: it expects nothing"],
    [{ expect: { order: 7 } }, "cannot check: order has a value of another kind"],
    [{ expect: { turn_report_fields: ["moods"] } }, "cannot check: moods"],
  ])("fails what it can't check, and says which key: %j", async (changed, told) => {
    const { outcome, reasons } = await run(changed);
    expect(outcome).toBe("fail");
    expect(reasons.join("; ")).toContain(told);
  });
  it("leaves files of another format alone, with a sentence", () => {
    const other = { cases: [{ id: "T01", given: {}, query: {}, expect: {} }] };
    expect(casesIn(other, "memory.json")).toContain("memory.json holds cases of another format");
    expect(casesIn([], "list.json")).toContain('no list "cases"');
  });
});

function casesOf(file: string): readonly ReadCase[] {
  return listed(readCaseFile(join(import.meta.dirname, file)));
}

function listed(read: readonly ReadCase[] | string): readonly ReadCase[] {
  if (typeof read === "string") throw new Error(read);
  return read;
}
