import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type McpEndpoint, mcpEndpoint, type McpWork } from "./testing-mcp.ts";
import { transportUnderTest } from "./testing-transport.ts";

let opened: AsyncDisposableStack;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

function mcp(host: string, over: object = {}) {
  const value = { url: `http://${host}/mcp`, tool: "cancel_order", ...over };
  return { name: "order", kind: { case: "mcp", value } as const };
}

const text = (...lines: string[]): McpWork => {
  const content = lines.map((line) => ({ type: "text" as const, text: line }));
  return async () => ({ content });
};

describe.each(["2025", "2026"] as const)("a tool of an MCP server of %s", (generation) => {
  const started = async (work: McpWork) => {
    const server: McpEndpoint = opened.use(await mcpEndpoint(work, generation));
    const settings = { token: "s3cret", shop: `http://${server.host}` };
    const tools = opened.use(transportUnderTest({ allowed: [server.host], settings }));
    return { server, tools, tool: mcp(server.host) };
  };

  it("is called with its key, and answers in JSON", async () => {
    const { server, tools } = await started(text('{"status":"cancelled"}'));
    const headers = { authorization: "Bearer ${token}" };
    const tool = mcp(server.host, { url: "${shop}/mcp", headers });
    const answer = await tools.call(tool, { key: "t-1:cancel:1" });
    expect(answer).toEqual({ kind: "answered", result: { status: "cancelled" } });
    expect(server.asked).toEqual([
      {
        method: "cancel_order",
        arguments: { order_id: "L-17" },
        key: "t-1:cancel:1",
        authorization: "Bearer s3cret",
      },
    ]);
    await tools.call(tool);
    expect(server.sessions()).toBe(generation === "2025" ? 1 : 0);
  });

  it("answers with what it has structured before what it says, else with its words", async () => {
    const structuredContent = { status: "cancelled" };
    const content = [{ type: "text" as const, text: "It is cancelled." }];
    const structured = await started(async () => ({ content, structuredContent }));
    const first = await structured.tools.call(structured.tool);
    expect(first).toEqual({ kind: "answered", result: structuredContent });
    const plain = await started(text("It is", "cancelled."));
    const second = await plain.tools.call(plain.tool);
    expect(second).toEqual({ kind: "answered", result: "It is\ncancelled." });
    const nothing = await started(async () => ({ content: [] }));
    expect((await nothing.tools.call(nothing.tool)).kind).toBe("unusable");
  });

  it("has failed when it says so", async () => {
    const { tools, tool } = await started(async () => ({ content: [], isError: true }));
    const answer = await tools.call(tool);
    expect(answer).toMatchObject({ kind: "failed", reason: "MCP_TOOL_ERROR", isUncertain: false });
  });

  it("only reads when its server says so", async () => {
    const { server, tools } = await started(text("{}"));
    expect(await tools.onlyReads(mcp(server.host, { tool: "find_order" }))).toBe(true);
    expect(await tools.onlyReads(mcp(server.host))).toBe(false);
    expect(await tools.onlyReads(mcp("127.0.0.1:1"))).toBe(false);
    expect(server.asked).toEqual([]);
  });

  it("that its server does not have is refused", async () => {
    const { server, tools } = await started(text("{}"));
    for (let i = 0; i < 2; i++) {
      const answer = await tools.call(mcp(server.host, { tool: "nothing" }));
      expect(answer).toMatchObject({ kind: "refused", reason: /^TOOL_METHOD_UNKNOWN/ });
    }
  });

  it("that is slow may have been done; one that is not there has not", async () => {
    const { server, tools, tool } = await started(() => new Promise(() => {}));
    const slow = await tools.call(tool, { timeoutMs: 500 });
    expect(slow).toMatchObject({ kind: "failed", reason: "TOOL_TIMEOUT", isUncertain: true });
    await server[Symbol.asyncDispose]();
    const others = opened.use(transportUnderTest({ allowed: [server.host] }));
    const gone = await others.call(tool);
    expect(gone).toMatchObject({ kind: "failed", reason: "TOOL_UNREACHABLE", isUncertain: false });
  });

  it("whose answer is too large is cut off, and the next one is read", async () => {
    let size = 5_000;
    const { tools, tool } = await started((asked) => text("x".repeat(size))(asked));
    const answer = await tools.call(tool);
    expect(answer).toEqual({ kind: "unusable", reason: "TOOL_ANSWER_TOO_LARGE" });
    size = 10;
    expect((await tools.call(tool)).kind).toBe("answered");
  });

  it("reaches no private address that is not allowed", async () => {
    const { server, tool } = await started(text("{}"));
    const tools = opened.use(transportUnderTest({ allowed: [] }));
    expect(await tools.call(tool)).toEqual({ kind: "refused", reason: "EGRESS_REFUSED" });
    expect(server.sessions()).toBe(0);
  });

  it("whose connection breaks may have been done", async () => {
    const { server, tools, tool } = await started(async () => {
      void server[Symbol.asyncDispose]();
      return new Promise(() => {});
    });
    const answer = await tools.call(tool);
    expect(answer).toMatchObject({ reason: "TOOL_CONNECTION_LOST", isUncertain: true });
  });

  it("is called once again in a session of its own when its server has forgotten the first", async () => {
    const { server, tools, tool } = await started(text("{}"));
    await tools.call(tool);
    server.forget();
    expect((await tools.call(tool)).kind).toBe("answered");
    expect(server.asked).toHaveLength(2);
    expect(server.sessions()).toBe(generation === "2025" ? 2 : 0);
  });

  it("shares no session with another tenant", async () => {
    const { server, tools, tool } = await started(text("{}"));
    await tools.call(tool);
    await tools.call(tool, { tenantId: "tenant-2" });
    expect(server.sessions()).toBe(generation === "2025" ? 2 : 0);
  });
});
