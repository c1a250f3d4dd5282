import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, openGateway, send, unlimited } from "./testing.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway({ settings: unlimited });
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe("a stream by REST", () => {
  async function stream(message: string | object, headers: Record<string, string> = {}) {
    const body = typeof message === "string" ? { agent: "shop", message } : message;
    return send(gateway, "POST", "/v1/chat/stream", { body, headers });
  }

  function events(
    text: string,
  ): readonly (readonly [string | undefined, string | undefined, unknown])[] {
    return text
      .trim()
      .split("\n\n")
      .map((part) => {
        const lines = new Map(
          part.split("\n").map((line) => line.split(/: (.*)/s, 2) as [string, string]),
        );
        return [lines.get("id"), lines.get("event"), JSON.parse(lines.get("data") ?? "null")];
      });
  }

  it("sends numbered events and ends with the committed turn", async () => {
    const res = await stream("hi there");
    expect(res.headers.get("content-type")).toContain("text/event-stream");
    expect(res.headers.get("cache-control")).toBe("no-store");
    const seen = events(await res.text());
    expect(seen.map(([id, name]) => [id, name])).toEqual([
      ["1", "started"],
      ["2", "delta"],
      ["3", "delta"],
      ["4", "delta"],
      ["5", "delta"],
      ["6", "completed"],
    ]);
    const text = seen.map(([, name, data]) =>
      name === "delta" ? (data as { text: string }).text : "",
    );
    expect(text.join("")).toBe("You said: hi there");
    expect(seen.at(-1)?.[2]).toMatchObject({ reply: "You said: hi there" });
  });

  it("opens a conversation, and completes without a piece when the agent is silent", async () => {
    const opened = events(await (await stream({ agent: "shop", opening: true })).text());
    expect(opened.map(([, name]) => name)).toEqual(["started", "delta", "completed"]);
    const silent = events(await (await stream({ agent: "mute", opening: true })).text());
    expect(silent.map(([, name]) => name)).toEqual(["started", "completed"]);
    expect(silent.at(-1)?.[2]).toMatchObject({ reply: "", outcome: "TURN_OUTCOME_SILENT" });
  });

  it("is told by a status when it fails before it began", async () => {
    const res = await stream("fail:not-found");
    expect([res.status, await res.json()]).toMatchObject([404, { error: { code: "NOT_FOUND" } }]);
  });

  it("ends with an error event when it fails later", async () => {
    const seen = events(await (await stream("break")).text());
    expect(seen.map(([, name]) => name)).toEqual(["started", "delta", "error"]);
    expect(seen.at(-1)?.[2]).toMatchObject({ reason: "MODEL_UNAVAILABLE", code: "UNAVAILABLE" });
  });

  it("may be had as lines of JSON", async () => {
    const res = await stream("hi", { accept: "application/x-ndjson" });
    const lines = (await res.text())
      .trim()
      .split("\n")
      .map((line) => Object.keys(JSON.parse(line) as object));
    expect(lines).toEqual([["started"], ["delta"], ["delta"], ["delta"], ["completed"]]);
  });

  it("stops the turn when the client leaves", async () => {
    const before = gateway.cancelled.length;
    const leaving = new AbortController();
    const res = await send(gateway, "POST", "/v1/chat/stream", {
      signal: leaving.signal,
      body: { agent: "shop", message: "slow" },
    });
    expect((await res.body?.getReader().read())?.done).toBe(false);
    leaving.abort();
    await expect.poll(() => gateway.cancelled.length).toBe(before + 1);
  });
});

describe("a silent stream", () => {
  it("says that it is still there", async () => {
    await using quiet = await openGateway({ settings: { heartbeat_ms: 20 } });
    const leaving = new AbortController();
    const res = await send(quiet, "POST", "/v1/chat/stream", {
      signal: leaving.signal,
      body: { agent: "shop", message: "slow" },
    });
    let seen = "";
    for await (const chunk of res.body!) {
      seen += new TextDecoder().decode(chunk as Uint8Array);
      if (seen.includes(": still here\n\n: still here\n\n")) break;
    }
    leaving.abort();
    expect(seen).toContain("event: started");
  });
});
