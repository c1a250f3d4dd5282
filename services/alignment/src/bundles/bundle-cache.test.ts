import { create } from "@bufbuild/protobuf";
import type { Identity } from "@soldier/chassis/identity";
import { testIdentity } from "@soldier/chassis/testing";
import { openBus } from "@soldier/events/open-bus";
import { newEvent } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { VariableLevel, VariableValueSchema } from "@soldier/proto/config/v1/template";
import { describeOn, type TestRedis, testRedis } from "@soldier/storage/testing";
import { afterEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import { bundleOf } from "../testing.ts";
import { Desks, shop } from "../testing-shop.ts";
import { keeping } from "@soldier/events/testing";

const desks = new Desks();
afterEach(() => desks.stop());

/** A desk whose answer is a variable's value, and how an operator sets it. */
async function valued(recheckMs: number, url = `inproc://${newId()}`, identity = testIdentity()) {
  const desk = await desks.start(
    {
      ...shop,
      templates: [{ name: "hours", text: "Open {hours}." }, ...shop.templates.slice(1)],
      variables: [{ name: "hours", defaultValue: "from 9 to 17" }],
    },
    { settings: { alignment: { bundle_recheck_ms: recheckMs }, events: { url } } },
    identity,
  );
  const set = (text: string) => {
    const value = { variable: "hours", level: VariableLevel.AGENT, value: valueOf(text) };
    desk.peers.variableValues = [create(VariableValueSchema, value)];
  };
  const answer = async () => (await desk.say("when do you open?")).reply;
  return { set, answer, identity, url };
}

/** Says that the version is live, as config does after a publish and after a value was set. */
async function announce(url: string, { tenantId }: Identity, version: bigint): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const settings = {
    url,
    root: "soldier",
    replicas: 1,
    keep_hours: 1,
    connect_timeout_ms: 1_000,
    ...keeping,
  };
  const bus = await openBus({ settings, opened });
  const news = { tenantId, agentId: "agent-1", agentSlug: "desk", version };
  await bus.publish(newEvent(configPublishedTopic, tenantId, news, new Date()));
}

describe("a value of a variable", () => {
  it("is live with the news, in the version that is held", async () => {
    const { set, answer, identity, url } = await valued(600_000);
    expect(await answer()).toBe("Open from 9 to 17.");
    set("until noon");
    expect(await answer()).toBe("Open from 9 to 17.");
    await announce(url, identity, 1n);
    await expect.poll(answer, { timeout: 2_000 }).toBe("Open until noon.");
  });
  it("is live when the version is looked at again, in case the news was lost", async () => {
    const { set, answer } = await valued(200);
    expect(await answer()).toBe("Open from 9 to 17.");
    set("until noon");
    await expect.poll(answer, { timeout: 2_000 }).toBe("Open until noon.");
  });
});

const desksHeld = { alignment: { bundles_max: 5, bundles_max_bytes: 1_024 } };

describe("bundles that are held", () => {
  it("may be as large as one that fits in nowhere else: it is held alone", async () => {
    const desk = await desks.start(shop, { settings: desksHeld });
    for (let i = 0; i < 3; i++) await desk.say("when do you open?");
    expect(desk.peers.calls.get("streamBundle")).toBeLessThanOrEqual(2); // by slug, then by id
  });
});

describeOn("bundles left for other replicas", testRedis(), (backend) => {
  const away = new Fault("unavailable", "config is away", { reason: "PEER_UNAVAILABLE" });

  /** Two replicas; the second one has never seen config. */
  async function replicas(between: (redis: TestRedis) => Promise<unknown> = async () => {}) {
    const place = await backend.open();
    desks.closes(place);
    const settings = {
      alignment: { bundle_spares: "redis" },
      redis: { ...place.settings },
      calls: { max_attempts: 1 },
    };
    const identity = testIdentity();
    const first = await desks.start(shop, { settings }, identity);
    await first.say("when do you open?");
    const spares = () => place.redis.keys(`${place.settings.key_prefix}bundle-of:*`);
    await expect.poll(async () => (await spares()).length).toBe(2); // by id and by slug
    await between(place);
    const second = await desks.start(shop, { settings }, identity);
    second.peers.broken.set("streamBundle", away);
    return second;
  }

  it("let one begin that starts while config is away", async () => {
    const second = await replicas();
    expect((await second.say("when do you open?")).reply).toBe("We are open from 9 to 17.");
    second.peers.broken.clear();
    expect((await second.say("when do you open?")).reply).toBe("We are open from 9 to 17.");
  });

  const damages: Record<string, (redis: TestRedis) => Promise<unknown>> = {
    "are gone": (place) => eachSpare(place, "bundle", (redis, key) => redis.unlink(key)),
    "are cut off": (place) => eachSpare(place, "bundle:", (redis, key) => redis.set(key, "cut")),
    "have other bytes": (place) =>
      eachSpare(place, "bundle:", (redis, key) => redis.setrange(key, 9, "other")),
    "are named by a newer release": (place) =>
      eachSpare(place, "bundle-of:", (redis, key) => redis.setrange(key, 0, "\u0002")),
    "are of another type": (place) =>
      eachSpare(place, "bundle-of:", async (redis, key) => {
        await redis.unlink(key);
        await redis.lpush(key, "x");
      }),
  };
  it.each(Object.keys(damages))("are as none when they %s", async (how) => {
    const second = await replicas(damages[how]);
    await expect(second.say("hi")).rejects.toMatchObject({ kind: "unavailable" });
    second.peers.broken.clear();
    expect((await second.say("when do you open?")).reply).toBe("We are open from 9 to 17.");
  });

  it("are their tenant's alone", async () => {
    const place = await backend.open();
    desks.closes(place);
    const settings = { alignment: { bundle_spares: "redis" }, redis: { ...place.settings } };
    const first = await desks.start(shop, { settings });
    await first.say("hi");
    await expect.poll(() => place.redis.keys("*")).not.toEqual([]);
    const stranger = await desks.start(shop, { settings });
    stranger.peers.broken.set("streamBundle", away);
    await expect(stranger.say("hi")).rejects.toMatchObject({ kind: "unavailable" });
  });
});

async function eachSpare(
  { redis, settings }: TestRedis,
  kind: string,
  damage: (redis: TestRedis["redis"], key: string) => Promise<unknown>,
): Promise<void> {
  const keys = await redis.keys(`${settings.key_prefix}${kind}*`);
  expect(keys.length).toBeGreaterThan(0);
  for (const key of keys) await damage(redis, key.slice(settings.key_prefix.length));
}

describe("behaviour that is published", () => {
  it("is fetched once, whoever asks, and again when news of another version comes", async () => {
    const url = `inproc://${newId()}`;
    const identity = testIdentity();
    const desk = await desks.start(
      shop,
      { settings: { alignment: { bundle_recheck_ms: 600_000 }, events: { url } } },
      identity,
    );
    await Promise.all([desk.say("hi"), desk.say("hi"), desk.say("hi")]);
    expect(desk.peers.calls.get("streamBundle")).toBeLessThanOrEqual(2); // by slug, then by id
    desk.peers.bundle = bundleOf({
      ...shop,
      version: 2,
      templates: [
        { name: "hours", text: "Closed for good.", mode: "TEMPLATE_MODE_SUGGEST" },
        ...shop.templates.slice(1),
      ],
    });
    expect((await desk.say("when do you open?")).reply).toBe("We are open from 9 to 17.");
    await announce(url, identity, 2n);
    await expect
      .poll(async () => (await desk.say("when do you open?")).reply, { timeout: 2_000 })
      .toBe("Closed for good.");
  });
  it("is refused above the bound, which is named", async () => {
    const long = { name: "long", text: "x".repeat(2_000) };
    const desk = await desks.start(
      { ...shop, templates: [...shop.templates, long] },
      { settings: { bundles: { max_bytes: 1_024 } } },
    );
    await expect(desk.say("hi")).rejects.toMatchObject({
      reason: "BUNDLE_TOO_LARGE",
      message: expect.stringContaining("[bundles] max_bytes") as string,
    });
  });
  it("is fetched once more when its stream breaks, or brings other bytes than were sent", async () => {
    const desk = await desks.start(shop);
    desk.peers.brokenStreams = ["short", "changed"];
    expect((await desk.say("when do you open?")).reply).toBe("We are open from 9 to 17.");
    expect(desk.peers.brokenStreams).toEqual([]);
  });
  it("is asked for again from time to time, in case the news was lost", async () => {
    const desk = await desks.start(shop, { settings: { alignment: { bundle_recheck_ms: 1 } } });
    await desk.say("hi");
    desk.peers.bundle = { ...desk.peers.bundle, version: 7n };
    await expect.poll(async () => (await desk.say("hi")).completed.turn?.bundleVersion).toBe(7n);
  });
});
