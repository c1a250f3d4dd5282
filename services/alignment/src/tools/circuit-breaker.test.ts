import { manualClock } from "@soldier/kernel/clock";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { json, ToolServer } from "../testing-tools.ts";
import { transportUnderTest } from "./testing-transport.ts";

const server = new ToolServer();
let opened: AsyncDisposableStack;
beforeEach(async () => {
  opened = new AsyncDisposableStack();
  await server.listen();
});
afterEach(async () => {
  await opened.disposeAsync();
  await server.reset(json({}));
  await server.stop();
});

const restMs = 10_000;

describe("an endpoint that fails", () => {
  const started = () => {
    const clock = manualClock(new Date("2026-11-20T12:00:00Z"));
    const tools = opened.use(transportUnderTest({ allowed: [server.host], clock }));
    const value = { method: "GET", url: `http://${server.host}/orders` };
    const tool = { kind: { case: "http", value } } as const;
    const fail = async (times: number) => {
      server.answer = json({}, 503);
      for (let i = 0; i < times; i++) await tools.call(tool);
      server.asked.length = 0;
    };
    return { clock, tools, tool, fail };
  };
  const open = { kind: "refused", reason: "CIRCUIT_OPEN" };

  it("is spared after three failures in a row, and only then", async () => {
    const { tools, tool, fail } = started();
    await fail(2);
    server.answer = json({});
    expect((await tools.call(tool)).kind).toBe("answered");
    await fail(2);
    expect((await tools.call(tool)).kind).toBe("failed");
    expect(await tools.call(tool)).toEqual(open);
    expect(server.asked).toHaveLength(1);
  });

  it("is not spared for refusals and pleas for patience: it is well", async () => {
    const { tools, tool } = started();
    for (const status of [404, 400, 429, 404, 401]) {
      server.answer = json({}, status);
      expect((await tools.call(tool)).kind).toBe("failed");
    }
  });

  it("is spared by the tenant that met its failures, and by no other", async () => {
    const { tools, tool, fail } = started();
    await fail(3);
    expect(await tools.call(tool)).toEqual(open);
    expect((await tools.call(tool, { tenantId: "tenant-2" })).kind).toBe("failed");
  });

  it("is tried by one call after its rest, and trusted again when that goes well", async () => {
    const { clock, tools, tool, fail } = started();
    await fail(3);
    clock.advance(restMs - 1);
    expect(await tools.call(tool)).toEqual(open);
    clock.advance(1);
    server.answer = json({ ok: true });
    const all = await Promise.all([tools.call(tool), tools.call(tool), tools.call(tool)]);
    expect(all.map(({ kind }) => kind)).toEqual(["answered", "refused", "refused"]);
    expect((await tools.call(tool)).kind).toBe("answered");
    await fail(2);
    expect((await tools.call(tool)).kind).toBe("failed");
  });

  it("rests again when the trial fails", async () => {
    const { clock, tools, tool, fail } = started();
    await fail(3);
    clock.advance(restMs);
    expect((await tools.call(tool)).kind).toBe("failed");
    expect(await tools.call(tool)).toEqual(open);
    clock.advance(restMs);
    expect((await tools.call(tool)).kind).toBe("failed");
  });

  it("is tried again at once when the trial was broken off", async () => {
    const { clock, tools, tool, fail } = started();
    await fail(3);
    clock.advance(restMs);
    const left = AbortSignal.abort();
    await expect(tools.call(tool, { signal: left })).rejects.toMatchObject({ kind: "cancelled" });
    server.answer = json({});
    expect((await tools.call(tool)).kind).toBe("answered");
  });
});
