import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { timeoutSignal } from "./timeout-signal.ts";

it("aborts when the time is over, with a reason that says so", async () => {
  const signal = timeoutSignal(20);
  expect(signal.aborted).toBe(false);
  await pause(60);
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ name: "TimeoutError" });
});

it("ends what was made of it, however often that was passed on", async () => {
  const [turn, call] = [new AbortController().signal, new AbortController().signal];
  const innermost = AbortSignal.any([AbortSignal.any([turn, timeoutSignal(20)]), call]);
  const reason = await new Promise((resolve) => {
    innermost.addEventListener("abort", () => resolve(innermost.reason), { once: true });
  });
  expect(reason).toMatchObject({ name: "TimeoutError" });
});

it("leaves nothing behind when the time is over: not it, nor what was made of it", async () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const caller = new AbortController().signal; // outlives all of them, as a service's own does
  const made: WeakRef<AbortSignal>[] = [];
  (function turns() {
    for (let turn = 0; turn < 200; turn++) {
      const budget = AbortSignal.any([caller, timeoutSignal(10)]);
      const call = AbortSignal.any([budget, new AbortController().signal]);
      made.push(new WeakRef(budget), new WeakRef(call));
    }
  })();
  await pause(50);
  for (let round = 0; round < 5; round++) {
    gc();
    await pause(10);
  }
  expect(made.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(20);
});
