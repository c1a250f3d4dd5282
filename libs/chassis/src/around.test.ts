import { expect, it } from "vitest";
import { mapped } from "./around.ts";

function numbers(left: string[]) {
  return (async function* () {
    try {
      yield 1;
      yield 2;
      yield 3;
    } finally {
      left.push("left");
    }
  })();
}

it("makes each message of what comes", async () => {
  const made: number[] = [];
  for await (const one of mapped(numbers([]), (number) => number * 10)) made.push(one);
  expect(made).toEqual([10, 20, 30]);
});

it("leaves the source when a message can't be made, and when its reader leaves", async () => {
  const left: string[] = [];
  const broken = mapped(numbers(left), () => {
    throw new Error("not so");
  });
  await expect(broken[Symbol.asyncIterator]().next()).rejects.toThrow("not so");
  for await (const _ of mapped(numbers(left), String)) break;
  expect(left).toEqual(["left", "left"]);
});
