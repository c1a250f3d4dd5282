import { testIdentity } from "@soldier/chassis/testing";
import { openBus } from "@soldier/events/bus";
import { newEvent } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { afterEach, describe, expect, it } from "vitest";
import { bundleOf } from "../testing.ts";
import { Desks, shop } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

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
    expect(desk.peers.calls.get("getBundle")).toBeLessThanOrEqual(2); // by slug, then by id
    desk.peers.bundle = bundleOf({
      ...shop,
      version: 2,
      templates: [
        { name: "hours", text: "Closed for good.", mode: "TEMPLATE_MODE_SUGGEST" },
        ...shop.templates.slice(1),
      ],
    });
    expect((await desk.say("when do you open?")).reply).toBe("We are open from 9 to 17.");
    await using opened = new AsyncDisposableStack();
    const settings = {
      url,
      root: "soldier",
      replicas: 1,
      keep_hours: 1,
      connect_timeout_ms: 1_000,
    };
    const bus = await openBus({ settings, opened });
    const news = {
      tenantId: identity.tenantId,
      agentId: "agent-1",
      agentSlug: "desk",
      version: 2n,
    };
    await bus.publish(newEvent(configPublishedTopic, identity.tenantId, news, new Date()));
    await expect
      .poll(async () => (await desk.say("when do you open?")).reply, { timeout: 2_000 })
      .toBe("Closed for good.");
  });
  it("is asked for again from time to time, in case the news was lost", async () => {
    const desk = await desks.start(shop, { settings: { alignment: { bundle_recheck_ms: 1 } } });
    await desk.say("hi");
    desk.peers.bundle = { ...desk.peers.bundle, version: 7n };
    await expect.poll(async () => (await desk.say("hi")).completed.turn?.bundleVersion).toBe(7n);
  });
});
