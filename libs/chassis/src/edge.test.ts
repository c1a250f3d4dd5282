import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientOf } from "./client.ts";
import { echoService } from "./echo.contract.ts";
import { actingAs } from "./identity.ts";
import { type Running, runAlone } from "./run.ts";
import { type Call, type Service, service } from "./service.ts";
import { recordedLog, testIdentity, testSettings } from "./testing.ts";

/** The sample service at the edge, with a REST route that calls it. */
function edge(): Service {
  const echo = echoService({ cancelled: [], left: [] }, { edge: true });
  const say = async (call: Call, text: string) =>
    actingAs(testIdentity(), () => call(EchoService).echo({ text }));
  return service({
    ...echo,
    async start(given) {
      const door = await echo.start(given);
      return {
        ...door,
        http(req, res) {
          const url = new URL(req.url ?? "/", "http://edge");
          if (url.pathname !== "/v1/say") {
            res.writeHead(404).end();
            return;
          }
          say(given.call, url.searchParams.get("text") ?? "").then(
            ({ text, traceId }) => {
              res.writeHead(200, { "content-type": "application/json" });
              res.end(JSON.stringify({ text, traceId }));
            },
            () => res.writeHead(500).end(),
          );
        },
      };
    },
  }) as Service; // its tables are of no interest here
}

describe("the edge", () => {
  const log = recordedLog();
  let running: Running;
  let url: string;
  beforeAll(async () => {
    const settings = testSettings({ log: { level: "debug" } }, ["echo"]);
    running = await runAlone(edge(), { settings, logTo: log.destination });
    url = running.url ?? "";
  });
  afterAll(() => running[Symbol.asyncDispose]());

  const rpc = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${url}/soldier.testing.v1.EchoService/Echo`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
  const authorization = "test acme chat";

  it("answers curl: JSON over HTTP/1.1", async () => {
    const res = await rpc(`{"text":"hello"}`, { authorization });
    expect([res.status, await res.json()]).toMatchObject([
      200,
      { text: "hello", tenantId: "acme" },
    ]);
  });

  it("tells in JSON what is wrong", async () => {
    const res = await rpc(`{"text":"hello"}`);
    expect(res.status).toBe(401);
    expect(await res.json()).toMatchObject({
      code: "unauthenticated",
      details: [{ type: "google.rpc.ErrorInfo", debug: { reason: "TOKEN_MISSING" } }],
    });
  });

  it.each([`{"text":`, `{"text":7}`, `[]`])("refuses %s", async (body) => {
    const res = await rpc(body, { authorization });
    expect([res.status, await res.json()]).toMatchObject([400, { code: "invalid_argument" }]);
  });

  it("refuses a body over the limit", async () => {
    const res = await rpc(`{"text":"${"x".repeat(16_777_216)}"}`, { authorization });
    expect([res.status, await res.json()]).toMatchObject([429, { code: "resource_exhausted" }]);
  });

  it("answers HTTP/1.1, HTTP/2, Connect and gRPC on one port", async () => {
    const transports = [
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl: url, httpVersion: "2" }),
      createGrpcTransport({ baseUrl: url }),
    ];
    for (const transport of transports) {
      const client = clientOf(EchoService, transport, { interceptors: [], deadlineMs: 5_000 });
      const headers = { authorization };
      expect((await client.echo({ text: "hello" }, { headers })).text).toBe("hello");
    }
  });

  it("hands what is no RPC to the plain handler, in a trace, and logs no query", async () => {
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const res = await fetch(`${url}/v1/say?text=secret`, {
      headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
    });
    expect(await res.json()).toEqual({ text: "secret", traceId });
    const lines = () => log.lines().filter((line) => line["path"] === "/v1/say");
    await expect.poll(lines).toHaveLength(1);
    expect(lines()[0]).toMatchObject({ method: "GET", status: 200, trace_id: traceId });
    expect(JSON.stringify(lines())).not.toContain("secret");
  });

  it("hands HTTP/2 requests to the plain handler too", async () => {
    const session = http2.connect(url);
    const stream = session.request({ ":path": "/v1/say?text=two" });
    let body = "";
    stream.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    await once(stream, "end");
    session.close();
    expect(JSON.parse(body)).toMatchObject({ text: "two" });
  });

  it("says that there is nothing at other paths", async () => {
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });

  it("knows HTTP/1.1 from HTTP/2 although the first bytes come one by one", async () => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.setNoDelay(true);
    const text =
      "POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for (const letter of text) await new Promise((sent) => socket.write(letter, sent));
    const [answer] = (await once(socket, "data")) as [Buffer]; // a socket without encoding
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 404/);
    socket.destroy();
  });

  it("survives clients that send nonsense or nothing and leave", async () => {
    const { hostname, port } = new URL(url);
    for (const bytes of ["", "PR", "PRI * HTTP/2.0\r\n", "\u0000\u0001\u0002 nonsense\r\n\r\n"]) {
      const socket = connect(Number(port), hostname);
      await once(socket, "connect");
      socket.on("error", () => {}); // being cut off is what it deserves
      socket.resume().end(bytes);
      await once(socket, "close");
    }
    expect((await rpc(`{"text":"hello"}`, { authorization })).status).toBe(200);
  });

  it("survives a burst of cancelled calls without cutting off the others", async () => {
    const transport = createGrpcTransport({ baseUrl: url });
    const client = clientOf(EchoService, transport, { interceptors: [], deadlineMs: 20_000 });
    const headers = { authorization };
    const bystander = client
      .echo({ text: "slow" }, { headers, timeoutMs: 1_500 })
      .catch((e: unknown) => e);
    for (let round = 0; round < 6; round++)
      await Promise.all(
        Array.from({ length: 250 }, () => {
          const leaving = new AbortController();
          const call = client.echo({ text: "slow" }, { headers, signal: leaving.signal });
          setImmediate(() => leaving.abort());
          return call.catch(() => {});
        }),
      );
    expect((await client.echo({ text: "still here" }, { headers })).text).toBe("still here");
    expect(String(await bystander)).toMatch(/deadline_exceeded/);
  });
});
