import { describe, expect, it } from "vitest";
import { Pipeline, type Step } from "./step.ts";
import type { Turn } from "./turn.ts";

const number: Step<"incoming", "turnNumber"> = {
  name: "number",
  run: async () => ({ turnNumber: 7 }),
};
const id: Step<"turnNumber", "turnId"> = {
  name: "id",
  run: async ({ turnNumber }) => ({ turnId: `t${turnNumber}` }),
  off: () => ({ turnId: "off" }),
};
const plainly = (
  _name: string,
  run: () => ReturnType<Parameters<Parameters<Pipeline<never>["run"]>[2]>[1]>,
) => run();

describe("a pipeline", () => {
  it("hands each step what those before it added", async () => {
    const pipeline = Pipeline.startingWith<"incoming">().step(number).step(id);
    const { turn } = await pipeline.run({}, AbortSignal.any([]), plainly);
    expect(turn?.turnId).toBe("t7");
  });
  it("does not compile in an order that can't work", () => {
    const start = Pipeline.startingWith<"incoming">();
    // @ts-expect-error nothing has added turnNumber yet
    start.step(id);
    expect(start.steps).toEqual([]);
  });
  it("uses what a step adds when it is switched off", async () => {
    const pipeline = Pipeline.startingWith<"incoming" | "off">().step(number).step(id);
    const given: Partial<Turn> = {
      off: new Map([
        ["id", "not wanted"],
        ["number", "can't be"],
      ]),
    };
    const skipped: (string | undefined)[] = [];
    const { turn } = await pipeline.run(given, AbortSignal.any([]), async (_name, run) => {
      const end = await run();
      skipped.push(end.record.skipped);
      return end;
    });
    expect(turn).toMatchObject({ turnNumber: 7, turnId: "off" });
    expect(skipped).toEqual([undefined, "not wanted"]);
  });
  it("stops between steps when nobody waits any more", async () => {
    const leaving = new AbortController();
    const leave: Step<"incoming", never> = {
      name: "leave",
      async run() {
        leaving.abort(new Error("left"));
        return {};
      },
    };
    const pipeline = Pipeline.startingWith<"incoming">().step(leave).step(number);
    await expect(pipeline.run({}, leaving.signal, plainly)).rejects.toThrow("left");
  });
  it("ends where a step has the answer already", async () => {
    const answer = { turn: {} as never, replayed: true, position: undefined }; // not looked at here
    const known: Step<"incoming", "turnNumber"> = {
      name: "known",
      run: async () => ({ answered: answer }),
    };
    const pipeline = Pipeline.startingWith<"incoming">().step(known).step(id);
    expect(await pipeline.run({}, AbortSignal.any([]), plainly)).toEqual({ answered: answer });
  });
});
