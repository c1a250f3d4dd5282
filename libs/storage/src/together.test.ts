import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { together } from "./together.ts";

describe("work done together", () => {
  /** Each go is noted, and ends when it is let; an item below zero can't be done. */
  function worker() {
    const goes: string[] = [];
    const ends: (() => void)[] = [];
    const ask = together(async (key: string, items: readonly number[]) => {
      goes.push(`${key} ${items.join(",")}`);
      await new Promise<void>((resolve) => ends.push(resolve));
      if (items.includes(0)) throw new Fault("unavailable", "the database is away");
      if (items.some((item) => item < 0)) throw new Error("it can't be done");
      return items.map((item) => item * 10);
    });
    const begun = async (count: number) => {
      while (goes.length < count) await new Promise((resolve) => setImmediate(resolve));
    };
    /** Lets that many goes end, one after the other. */
    const end = async (count: number) => {
      for (let ended = 0; ended < count; ended++) {
        await begun(ended + 1);
        while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
        ends.shift()?.();
      }
    };
    return { goes, ask, begun, end };
  }

  it("is one go for what is asked for at once, and gives each its own result", async () => {
    const { goes, ask, end } = worker();
    const asked = [ask("a", 1), ask("a", 2), ask("a", 3)];
    await end(1);
    expect(await Promise.all(asked)).toEqual([10, 20, 30]);
    expect(goes).toEqual(["a 1,2,3"]);
  });

  it("is one go for what comes while the one before is being done, and only of the same key", async () => {
    const { goes, ask, begun, end } = worker();
    const first = ask("a", 1);
    await begun(1);
    const more = [ask("a", 2), ask("b", 3), ask("a", 4)];
    await end(3);
    expect(await Promise.all([first, ...more])).toEqual([10, 20, 30, 40]);
    expect(goes.toSorted()).toEqual(["a 1", "a 2,4", "b 3"]);
  });

  it("is done one by one when it fails, so that one spoils no other", async () => {
    const { goes, ask, end } = worker();
    const asked = [ask("a", 1), ask("a", -2), ask("a", 3)];
    const settled = Promise.allSettled(asked);
    await end(4);
    expect((await settled).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(goes).toEqual(["a 1,-2,3", "a 1", "a -2", "a 3"]);
  });

  it("fails as a whole while the database is away", async () => {
    const { goes, ask, end } = worker();
    const settled = Promise.allSettled([ask("a", 0), ask("a", 1)]);
    await end(1);
    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(goes).toEqual(["a 0,1"]);
  });

  it("goes on with what is asked for later", async () => {
    const { ask, end } = worker();
    const failed = Promise.allSettled([ask("a", -1)]);
    await end(1);
    await failed;
    const asked = ask("a", 2);
    await end(1);
    expect(await asked).toBe(20);
  });
});
