import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { json, type ToolAnswer, ToolServer } from "../testing-tools.ts";
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

function http(url: string, method = "GET") {
  return { kind: { case: "http", value: { method, url } } } as const;
}

const redirect =
  (location: string): ToolAnswer =>
  (res) =>
    res.writeHead(302, { location }).end();

describe("a tool over HTTP", () => {
  const started = (answer: ToolAnswer, method = "GET") => {
    server.answer = answer;
    const tools = opened.use(transportUnderTest({ allowed: [server.host] }));
    return { tools, tool: http(`http://${server.host}/orders/{order_id}`, method) };
  };

  it.each<[what: string, answer: ToolAnswer, wanted: object]>([
    ["answers", json({ a: [1] }), { kind: "answered", result: { a: [1] } }],
    ["has nothing to say", (res) => res.writeHead(204).end(), { kind: "answered", result: {} }],
    [
      "says no JSON",
      (res) => res.end("<html>"),
      { kind: "unusable", reason: "the answer is no JSON" },
    ],
    [
      "says too much",
      json("x".repeat(5_000)),
      { kind: "unusable", reason: "TOOL_ANSWER_TOO_LARGE" },
    ],
    ["says no", json({}, 404), { reason: "HTTP_404", why: "no", isUncertain: false }],
    ["is ill", json({}, 500), { reason: "HTTP_500", why: "down", isUncertain: false }],
    ["is behind a lost gateway", json({}, 502), { why: "down", isUncertain: true }],
    ["breaks off", (res) => res.destroy(), { reason: "TOOL_CONNECTION_LOST", isUncertain: true }],
    [
      "breaks off in the middle",
      (res) => {
        res.writeHead(200, { "content-length": "100" }).write("{");
        setImmediate(() => res.destroy());
      },
      { reason: "TOOL_CONNECTION_LOST", isUncertain: true },
    ],
  ])("that %s", async (_, answer, wanted) => {
    const { tools, tool } = started(answer);
    expect(await tools.call(tool)).toMatchObject(wanted);
  });

  it("that is slow, at its head or in its body, is given up", async () => {
    const { tools, tool } = started(() => {});
    const late = { reason: "TOOL_TIMEOUT", isUncertain: true };
    expect(await tools.call(tool, { timeoutMs: 100 })).toMatchObject(late);
    server.answer = (res) => void res.writeHead(200).write("{");
    expect(await tools.call(tool, { timeoutMs: 100 })).toMatchObject(late);
  });

  it("that is not there has done nothing", async () => {
    const { tools, tool } = started(json({}));
    await server.stop();
    const gone = { reason: "TOOL_UNREACHABLE", isUncertain: false };
    expect(await tools.call(tool)).toMatchObject(gone);
    await server.listen();
  });

  it("with an effect is not lost on a connection that its server gives up", async () => {
    const { tools, tool } = started(json({}), "POST");
    const used = new WeakSet<object>();
    server.answer = (res) => {
      const { socket } = res;
      if (socket && used.has(socket)) return void res.destroy();
      if (socket) used.add(socket);
      json({ ok: true })(res);
    };
    for (let i = 0; i < 3; i++) expect((await tools.call(tool)).kind).toBe("answered");
  });

  it("only reads by GET", async () => {
    const { tools, tool } = started(json({}));
    expect(await tools.onlyReads(tool)).toBe(true);
    expect(await tools.onlyReads(http("http://shop.example/", "POST"))).toBe(false);
  });

  it("is followed where it leads by GET, but to no private address and not in circles", async () => {
    const { tools, tool } = started((res) =>
      (server.asked.length === 1 ? redirect("/other") : json({ ok: true }))(res),
    );
    expect(await tools.call(tool)).toEqual({ kind: "answered", result: { ok: true } });
    for (const inside of [
      "http://169.254.169.254/latest",
      "http://[::1]:1/",
      "http://2130706433/",
    ]) {
      server.answer = redirect(inside);
      expect(await tools.call(tool)).toEqual({ kind: "refused", reason: "EGRESS_REFUSED" });
    }
    server.answer = redirect("/again");
    expect(await tools.call(tool)).toMatchObject({ kind: "failed", reason: "TOOL_UNREACHABLE" });
  });

  it("is not followed by other methods", async () => {
    const { tools, tool } = started(redirect("/other"), "POST");
    expect(await tools.call(tool)).toMatchObject({ reason: "HTTP_302", why: "no" });
    expect(server.asked).toHaveLength(1);
  });

  it("is sent to the address that was looked at, whatever its name says a moment later", async () => {
    const port = server.host.split(":")[1];
    const names: string[] = [];
    const resolve = async (name: string) => {
      names.push(name);
      return [{ address: names.length > 1 ? "192.0.2.1" : "127.0.0.1", family: 4 } as const];
    };
    const host = `shop.invalid:${port}`;
    const tools = opened.use(transportUnderTest({ allowed: [host], resolve }));
    server.answer = json({ ok: true });
    expect((await tools.call(http(`http://${host}/`))).kind).toBe("answered");
    expect(names).toEqual(["shop.invalid"]);
  });
});
