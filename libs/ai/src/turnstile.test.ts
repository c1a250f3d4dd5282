import { describe, expect, it } from "vitest";
import { turnstile } from "./turnstile.ts";

const overflow = () => new Error("too many wait");
const never = new AbortController().signal;

describe("a turnstile", () => {
  it("lets those who wait in, in the order in which they came", async () => {
    const door = turnstile({ insideMax: 1, waitingMax: 9, overflow });
    const order: number[] = [];
    const visits = [1, 2, 3].map(async (visitor) => {
      const leave = await door.enter(never);
      order.push(visitor);
      leave();
    });
    await Promise.all(visits);
    expect(order).toEqual([1, 2, 3]);
  });
  it("never lets more in than may be inside, however they come and go", async () => {
    const door = turnstile({ insideMax: 3, waitingMax: 100, overflow });
    let inside = 0;
    let most = 0;
    const visits = Array.from({ length: 50 }, async (_, i) => {
      const leaving = new AbortController();
      const entering = door.enter(leaving.signal).catch(() => undefined);
      if (i % 4 === 3) leaving.abort();
      const leave = await entering;
      if (!leave) return;
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
      leave();
      leave(); // only the first one counts
    });
    await Promise.all(visits);
    expect(most).toBe(3);
    expect(inside).toBe(0);
    for (let i = 0; i < 3; i++) await door.enter(never); // every place is free again
  });
  it("refuses whoever comes when too many wait", async () => {
    const door = turnstile({ insideMax: 1, waitingMax: 1, overflow });
    const leave = await door.enter(never);
    const second = door.enter(never);
    await expect(door.enter(never)).rejects.toThrow("too many wait");
    leave();
    await second;
  });
  it("forgets whoever gives up waiting", async () => {
    const door = turnstile({ insideMax: 1, waitingMax: 1, overflow });
    const leave = await door.enter(never);
    const leaving = new AbortController();
    const gone = door.enter(leaving.signal);
    leaving.abort();
    await expect(gone).rejects.toMatchObject({ kind: "cancelled" });
    const next = door.enter(never);
    leave();
    await next;
  });
});
