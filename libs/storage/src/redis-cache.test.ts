import { silentLog } from "@soldier/kernel/log";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openRedis } from "./redis.ts";
import { cacheUses, redisCache, sealed, unsealed } from "./redis-cache.ts";
import { openLink } from "./testing-link.ts";
import { ownRedis } from "./testing-own-redis.ts";
import { describeOn } from "./testing.ts";

describeOn("Redis as a cache", await ownRedis(), (backend) => {
  it("is asked no more after three failures in a row, and again when a ping has come back", async () => {
    await using own = await backend.open();
    await using link = await openLink(own.url);
    await using opened = new AsyncDisposableStack();
    const settings = {
      url: link.url,
      key_prefix: "",
      connect_timeout_ms: 2_000,
      command_timeout_ms: 20,
    };
    const redis = await openRedis({ settings, opened });
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_: object, text: string) => void warnings.push(text) };
    let nowMs = 0;
    const cache = redisCache({ redis, name: "shop", log, restMs: 1_000, now: () => nowMs });
    let asked = 0;
    const ask = () =>
      cache.ask((client) => {
        asked += 1;
        return client.set("a", "b");
      });
    expect(await ask()).toBe("OK");
    link.stall();
    for (let i = 0; i < 10; i++) expect(await ask()).toBeUndefined();
    expect(asked).toBe(4);
    expect(warnings).toEqual(["Redis does not answer in time; going on without this cache"]);
    link.mend();
    expect(await ask()).toBeUndefined(); // it rests
    const answer = async () => {
      nowMs += 1_000;
      return ask();
    };
    await expect.poll(answer, { timeout: 5_000 }).toBe("OK");
  });

  it("that refuses what is written is asked on, and it is counted", async () => {
    await using own = await backend.open();
    await using opened = new AsyncDisposableStack();
    const settings = {
      url: own.url,
      key_prefix: "",
      connect_timeout_ms: 2_000,
      command_timeout_ms: 2_000,
    };
    const redis = await openRedis({ settings, opened });
    const cache = redisCache({ redis, name: "full", log: silentLog });
    await own.full(true);
    for (let i = 0; i < 9; i++)
      expect(await cache.ask((client) => client.set("a", "b"))).toBeUndefined();
    expect(await cache.ask((client) => client.exists("a"))).toBe(0);
    const { values } = await cacheUses.get();
    expect(values.filter(({ labels }) => labels["cache"] === "full")).toMatchObject([
      { labels: { outcome: "refused" }, value: 9 },
    ]);
  });
});

describe("a sealed value", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });

  it("is opened as it was, in its place alone and in its format alone", () => {
    fc.assert(
      fc.property(bytes, fc.string(), fc.string(), (value, place, other) => {
        const seal = sealed(1, place, value);
        expect(Buffer.from(unsealed(1, place, seal) ?? [])).toEqual(Buffer.from(value));
        expect(unsealed(2, place, seal)).toBeUndefined();
        fc.pre(other !== place);
        expect(unsealed(1, other, seal)).toBeUndefined();
      }),
    );
  });

  it("is not opened when it was cut off or changed", () => {
    fc.assert(
      fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, by) => {
        const seal = sealed(1, "place", value);
        expect(unsealed(1, "place", seal.subarray(0, at % seal.byteLength))).toBeUndefined();
        seal[at % seal.byteLength] = (seal[at % seal.byteLength] ?? 0) ^ by;
        expect(unsealed(1, "place", seal)).toBeUndefined();
      }),
    );
  });
});
