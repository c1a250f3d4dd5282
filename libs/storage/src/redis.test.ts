import { describe, expect, it } from "vitest";
import { storageFault } from "./faults.ts";
import { openRedis, pingRedis } from "./redis.ts";
import { openLink } from "./testing-link.ts";
import { describeOn, testRedis } from "./testing.ts";

describe("Redis that is not there", () => {
  const settings = {
    url: "redis://127.0.0.1:1",
    key_prefix: "",
    connect_timeout_ms: 500,
    command_timeout_ms: 500,
  };

  it("doesn't keep anyone from starting; each command fails at once", async () => {
    await using opened = new AsyncDisposableStack();
    const redis = await openRedis({ settings, opened });
    await expect(pingRedis(redis)).rejects.toMatchObject({ kind: "unavailable" });
    const error = await redis.get("x").catch((caught: unknown) => storageFault(caught));
    expect(error).toMatchObject({ kind: "unavailable", reason: "STORAGE_UNAVAILABLE" });
  });
});

describeOn("Redis", testRedis(), (backend) => {
  it("is asked with the prefix of the deployment, in scripts too", async () => {
    await using place = await backend.open();
    const { redis } = place;
    await redis.set("x", "1");
    expect(await redis.eval("return redis.call('get', KEYS[1])", 1, "x")).toBe("1");
    expect(await redis.eval("return KEYS[1]", 1, "x")).toBe(`${place.settings.key_prefix}x`);
  });

  it("may go away and come back: commands fail meanwhile and work again", async () => {
    await using place = await backend.open();
    await using link = await openLink(place.settings.url);
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, url: link.url, command_timeout_ms: 500 };
    const redis = await openRedis({ settings, opened });
    const answers = () =>
      pingRedis(redis).then(
        () => true,
        () => false,
      );
    expect(await answers()).toBe(true);
    link.cut();
    await expect.poll(answers, { timeout: 10_000 }).toBe(false);
    link.mend();
    await expect.poll(answers, { timeout: 10_000 }).toBe(true);
  });
});
