import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cronProblem, nextMoment } from "./cron.ts";

const next = (expression: string, after: string) =>
  nextMoment(expression, new Date(after))?.toISOString();

describe("a cron expression", () => {
  it("names the next of its moments, in UTC", () => {
    expect(next("0,15,30,45 * * * *", "2025-01-01T10:01:00Z")).toBe("2025-01-01T10:15:00.000Z");
    expect(next("30 2 * * *", "2025-03-30T01:10:00Z")).toBe("2025-03-30T02:30:00.000Z");
    expect(next("0 9 * * mon-fri", "2025-01-03T10:00:00Z")).toBe("2025-01-06T09:00:00.000Z");
  });
  it("is past the moment itself: at it the next one is meant", () => {
    expect(next("*/15 * * * *", "2025-01-01T10:15:00Z")).toBe("2025-01-01T10:30:00.000Z");
  });
  it("means either the day of the month or the weekday, as cron does", () => {
    expect(next("0 0 13 * fri", "2025-01-01T00:00:00Z")).toBe("2025-01-03T00:00:00.000Z");
  });
  it("says what is wrong with one that is none", () => {
    for (const wrong of ["", "* * * *", "* * * * * *", "61 * * * *", "soon", "0 0 30 2 *"]) {
      expect(cronProblem(wrong), wrong).toEqual(expect.any(String));
      expect(nextMoment(wrong, new Date())).toBeUndefined();
    }
    expect(cronProblem("0 6 1 * *")).toBeUndefined();
  });
  it("always lies ahead, on a whole minute", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 59 }),
        fc.date({ min: new Date("2000-01-01"), max: new Date("2090-01-01"), noInvalidDate: true }),
        (minutes, after) => {
          const moment = nextMoment(`*/${minutes} * * * *`, after);
          expect(moment?.getTime()).toBeGreaterThan(after.getTime());
          expect((moment?.getTime() ?? 1) % 60_000).toBe(0);
        },
      ),
    );
  });
});
