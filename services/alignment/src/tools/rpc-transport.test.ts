import { Code, ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hanging, type Work } from "./testing-endpoint.ts";
import { descriptorSet } from "./testing-orders.ts";
import { connectEndpoint, grpcEndpoint } from "./testing-rpc.ts";
import { transportUnderTest } from "./testing-transport.ts";

const packed: Work = async () => ({ orderId: "L-17", status: "packed", cents: "1250" });
const answered = {
  kind: "answered",
  result: { orderId: "L-17", status: "packed", itemCount: 0, cents: "1250" },
};

let opened: AsyncDisposableStack;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

function rpc(address: string, over: object = {}) {
  const value = { address, method: "shop.v1.Orders/GetOrder", ...over };
  return { name: "order", kind: { case: "rpc", value } as const };
}

describe("a tool by gRPC", () => {
  const started = async (work: Work, reflection: "v1" | "v1alpha" | "none" = "v1") => {
    const server = opened.use(await grpcEndpoint(work, reflection));
    const settings = { token: "s3cret" };
    const tools = opened.use(transportUnderTest({ allowed: [server.host], settings }));
    return { server, tools };
  };

  it("is called as its server's reflection says, which is asked once", async () => {
    const { server, tools } = await started(packed);
    const tool = rpc(server.host, { headers: { authorization: "Bearer ${token}" } });
    expect(await tools.call(tool, { key: "t-1:order:1" })).toEqual(answered);
    expect(await tools.call(tool)).toEqual(answered);
    expect(server.asked[0]).toEqual({
      method: "GetOrder",
      arguments: { orderId: "L-17" },
      key: "t-1:order:1",
      authorization: "Bearer s3cret",
    });
    expect(server.reflected).toEqual(["shop.v1.Orders", "shop/v1/order.proto"]);
  });

  it("is described by the older reflection, too", async () => {
    const { server, tools } = await started(packed, "v1alpha");
    expect(await tools.call(rpc(server.host))).toEqual(answered);
  });

  it("is described by its own descriptors where there is no reflection", async () => {
    const { server, tools } = await started(packed, "none");
    expect(await tools.call(rpc(server.host, { descriptorSet }))).toEqual(answered);
    const none = await tools.call(rpc(server.host));
    expect(none).toMatchObject({ kind: "refused", reason: /^TOOL_METHOD_UNKNOWN/ });
  });

  it("only reads when its method says so", async () => {
    const { server, tools } = await started(packed);
    expect(await tools.onlyReads(rpc(server.host))).toBe(true);
    const method = "shop.v1.Orders/CancelOrder";
    expect(await tools.onlyReads(rpc(server.host, { method }))).toBe(false);
    expect(await tools.onlyReads(rpc("127.0.0.1:1"))).toBe(false);
    expect(server.asked).toEqual([]);
  });

  it.each([
    ["a method that streams", { method: "shop.v1.Orders/WatchOrder" }, "TOOL_METHOD_STREAMS"],
    ["a method that is not there", { method: "shop.v1.Orders/Nothing" }, "TOOL_METHOD_UNKNOWN"],
    ["a service that is not there", { method: "shop.v1.Nothing/Get" }, "TOOL_METHOD_UNKNOWN"],
    ["no name of a method", { method: "GetOrder" }, "TOOL_METHOD_UNKNOWN"],
    ["no descriptors", { descriptorSet: Uint8Array.of(255) }, "TOOL_DESCRIPTOR_INVALID"],
    ["no address", { address: "http://" }, "TOOL_ADDRESS_INVALID"],
    ["an unknown setting", { headers: { a: "${nothing}" } }, "TOOL_SETTING_MISSING"],
  ])("with %s is refused by reason", async (_, over, reason) => {
    const { server, tools } = await started(packed);
    const answer = await tools.call(rpc(server.host, over));
    expect(answer).toMatchObject({ kind: "refused", reason: expect.stringContaining(reason) });
    expect(server.asked).toEqual([]);
  });

  it("is spared when its server is away, also by those who only ask what it does", async () => {
    const { server, tools } = await started(packed);
    const tool = rpc(server.host);
    await server[Symbol.asyncDispose]();
    for (let i = 0; i < 3; i++) expect(await tools.onlyReads(tool)).toBe(false);
    expect(await tools.call(tool)).toEqual({ kind: "refused", reason: "CIRCUIT_OPEN" });
  });

  it("is described for all by one question, also when who asked it has left", async () => {
    const { server, tools } = await started(packed);
    const leaving = new AbortController();
    const left = tools.call(rpc(server.host), { signal: leaving.signal });
    const stays = tools.call(rpc(server.host));
    leaving.abort();
    await expect(left).rejects.toMatchObject({ kind: "cancelled" });
    expect(await stays).toEqual(answered);
    expect(server.reflected).toHaveLength(2);
  });

  it("is refused arguments that are no such message, without showing them", async () => {
    const { server, tools } = await started(packed);
    const answer = await tools.call(rpc(server.host), { arguments: { secret: "hush" } });
    expect(answer).toMatchObject({ kind: "refused", reason: /^TOOL_ARGUMENTS_UNFIT/ });
    expect(JSON.stringify(answer)).not.toMatch(/hush/);
  });

  it.each([
    [status.NOT_FOUND, "RPC_NOT_FOUND", "no", false],
    [status.INTERNAL, "RPC_INTERNAL", "down", false],
    [status.RESOURCE_EXHAUSTED, "RPC_RESOURCE_EXHAUSTED", "busy", false],
    [status.UNAVAILABLE, "RPC_UNAVAILABLE", "down", true],
  ])("that ends with status %i says so", async (code, reason, why, isUncertain) => {
    const { server, tools } = await started(() => Promise.reject({ code, details: "no" }));
    const answer = await tools.call(rpc(server.host));
    expect(answer).toMatchObject({ kind: "failed", reason, why, isUncertain });
  });

  it("that is slow may have been done; one that is not there has not", async () => {
    const { server, tools } = await started(hanging);
    const slow = await tools.call(rpc(server.host), { timeoutMs: 300 });
    expect(slow).toMatchObject({ kind: "failed", reason: "TOOL_TIMEOUT", isUncertain: true });
    await server[Symbol.asyncDispose]();
    const others = opened.use(transportUnderTest({ allowed: [server.host] }));
    const gone = await others.call(rpc(server.host));
    expect(gone).toMatchObject({ kind: "failed", reason: "TOOL_UNREACHABLE", isUncertain: false });
  });

  it("is found again after its server was away", async () => {
    const { server, tools } = await started(packed);
    const tool = rpc(server.host);
    await tools.call(tool);
    await server[Symbol.asyncDispose]();
    expect((await tools.call(tool)).kind).toBe("failed");
    opened.use(await grpcEndpoint(packed, "v1", server.host));
    expect(await tools.call(tool)).toEqual(answered);
  });

  it("whose answer is too large is cut off", async () => {
    const { server, tools } = await started(async () => ({ status: "x".repeat(5_000) }));
    const answer = await tools.call(rpc(server.host));
    expect(answer).toEqual({ kind: "unusable", reason: "TOOL_ANSWER_TOO_LARGE" });
  });

  it("reaches no private address that is not allowed, by whatever name", async () => {
    const { server } = await started(packed);
    const port = server.host.split(":")[1];
    const resolve = async () => [{ address: "127.0.0.1", family: 4 } as const];
    const tools = opened.use(transportUnderTest({ allowed: [], resolve }));
    for (const host of [
      "127.0.0.1",
      "2130706433",
      "0x7f.1",
      "[::ffff:127.0.0.1]",
      "shop.example",
    ]) {
      const answer = await tools.call(rpc(`${host}:${port}`));
      expect(answer).toEqual({ kind: "refused", reason: "EGRESS_REFUSED" });
    }
    expect(server.reflected).toEqual([]);
  });

  it("is sent to the address that was looked at, whatever its name says a moment later", async () => {
    const { server } = await started(packed);
    const port = server.host.split(":")[1];
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      return [{ address: asked.length > 2 ? "192.0.2.1" : "127.0.0.1", family: 4 } as const];
    };
    const host = `shop.invalid:${port}`;
    const tools = opened.use(transportUnderTest({ allowed: [host], resolve }));
    // No name service knows it: only the pinned address can lead there.
    expect(await tools.call(rpc(host))).toEqual(answered);
    expect(asked).toEqual(["shop.invalid", "shop.invalid"]);
  });
});

describe("a tool by Connect", () => {
  const started = async (work: Work) => {
    const server = opened.use(await connectEndpoint(work));
    const tools = opened.use(transportUnderTest({ allowed: [server.host] }));
    return { server, tools, tool: rpc(`http://${server.host}`, { connect: true, descriptorSet }) };
  };

  it("is called with its key and answers in JSON", async () => {
    const { server, tools, tool } = await started(packed);
    expect(await tools.call(tool, { key: "t-1:order:1" })).toEqual(answered);
    expect(server.asked[0]).toMatchObject({ arguments: { orderId: "L-17" }, key: "t-1:order:1" });
  });

  it("that refuses for a while says for how long", async () => {
    const metadata = { "retry-after": "2" };
    const busy = new ConnectError("later", Code.ResourceExhausted, metadata);
    const { tools, tool } = await started(() => Promise.reject(busy));
    expect(await tools.call(tool)).toMatchObject({ why: "busy", retryAfterMs: 2_000 });
  });

  it("is slow, away or too talkative with a reason", async () => {
    const slow = await started(hanging);
    const late = await slow.tools.call(slow.tool, { timeoutMs: 200 });
    expect(late).toMatchObject({ reason: "TOOL_TIMEOUT", isUncertain: true });
    await slow.server[Symbol.asyncDispose]();
    const gone = await slow.tools.call(slow.tool);
    expect(gone).toMatchObject({ reason: "TOOL_UNREACHABLE", isUncertain: false });
    const large = await started(async () => ({ status: "x".repeat(5_000) }));
    const cut = await large.tools.call(large.tool);
    expect(cut).toEqual({ kind: "unusable", reason: "TOOL_ANSWER_TOO_LARGE" });
  });

  it("reaches no private address that is not allowed", async () => {
    const { server, tool } = await started(packed);
    const tools = opened.use(transportUnderTest({ allowed: [] }));
    expect(await tools.call(tool)).toEqual({ kind: "refused", reason: "EGRESS_REFUSED" });
    expect(server.asked).toEqual([]);
  });
});
