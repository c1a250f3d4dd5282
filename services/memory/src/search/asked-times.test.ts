import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { askedTimes, nearness, tellsTime, wantsTime } from "./asked-times.ts";

const now = Date.UTC(2026, 4, 20, 15); // a Wednesday
const earliest = Date.UTC(2025, 0, 1);
const dayMs = 86_400_000;

/** As days, the last one included. */
const spansOf = (question: string) =>
  askedTimes(question, now, earliest).map(({ from, to }) =>
    [from, to - 1].map((ms) => new Date(ms).toISOString().slice(0, 10)).join(" "),
  );

describe("the times that a question names", () => {
  it.each([
    ["What did I order on 3 May 2025?", ["2025-05-03 2025-05-03"]],
    ["What did I order on May 3rd, 2025?", ["2025-05-03 2025-05-03"]],
    ["Where was she in March of 2024?", ["2024-03-01 2024-03-31"]],
    ["What happened in December 2025?", ["2025-12-01 2025-12-31"]],
    ["What broke on 2026-02-11?", ["2026-02-11 2026-02-11"]],
    ["Who moved in 2025?", ["2025-01-01 2025-12-31"]],
    ["What arrived in January?", ["2025-01-01 2025-01-31", "2026-01-01 2026-01-31"]],
    ["What did I say yesterday?", ["2026-05-19 2026-05-19"]],
    ["What did I say the day before yesterday?", ["2026-05-18 2026-05-18"]],
    ["What did I order three days ago?", ["2026-05-17 2026-05-17"]],
    ["What did I order two weeks ago?", ["2026-05-03 2026-05-09"]],
    ["What broke last month?", ["2026-04-01 2026-04-30"]],
    ["What broke last year?", ["2025-01-01 2025-12-31"]],
    ["What did we sign last summer?", ["2025-06-01 2025-08-31"]],
    ["What did we sign in the summer of 2021?", ["2021-06-01 2021-08-31"]],
    ["Who moved in winter?", ["2025-12-01 2026-02-28"]],
    ["What broke this month?", ["2026-05-01 2026-05-31"]],
    ["What did we say last Monday?", ["2026-05-18 2026-05-18"]],
    ["What came in the last 10 days?", ["2026-05-10 2026-05-20"]],
  ])("reads them: %s", (question, expected) => {
    expect(spansOf(question)).toEqual(expected);
  });
  it.each([
    "May I ask for Mar?",
    "Who marched into the mayor's office?",
    "What is order 20251 worth?",
    "Wo ist es?",
  ])("reads none where there is none: %s", (question) => {
    expect(spansOf(question)).toEqual([]);
  });
  it("are intervals, whatever is asked", () => {
    const word = fc.constantFrom(
      "in",
      "may",
      "3rd",
      "2025",
      "last",
      "two",
      "weeks",
      "ago",
      "31",
      "february",
      "999",
      "friday",
      "-",
      "2026-13-45",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(" ")),
        ),
        (question) => {
          for (const { from, to } of askedTimes(question, now, earliest))
            expect(from).toBeLessThan(to);
        },
      ),
    );
  });
  it("reads a very long question as far as it is worth", () => {
    expect(spansOf(`${"in 2025 ".repeat(4_096)}`).length).toBeLessThan(300);
  });
});

describe("nearness", () => {
  it("is 1 within a span and falls on both of its sides", () => {
    const spans = [{ from: 100 * dayMs, to: 101 * dayMs }];
    expect(nearness(spans, 100.5 * dayMs)).toBe(1);
    expect(nearness(spans, 106 * dayMs)).toBeCloseTo(Math.exp(-1));
    expect(nearness(spans, 95 * dayMs)).toBeCloseTo(Math.exp(-1));
    expect(nearness([], 95 * dayMs)).toBe(0);
  });
});

describe("whether time is asked for, or told", () => {
  it("knows the questions", () => {
    expect(
      ["When did it arrive?", "How long have I had it?", "In what year did I join?"].map(wantsTime),
    ).toEqual([true, true, true]);
    expect(
      ["What arrived when I was out?", "Whenever you like", "Which day-care is it?"].map(wantsTime),
    ).toEqual([false, false, false]);
  });
  it("knows the answers", () => {
    expect(tellsTime("It came yesterday")).toBe(true);
    expect(tellsTime("It came by post")).toBe(false);
  });
});
