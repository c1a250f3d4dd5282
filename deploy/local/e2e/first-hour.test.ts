import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Announcement, announcementSchema } from "../announcement.ts";

const root = join(import.meta.dirname, "../../..");
const startMaxMs = 90_000;

interface Reply {
  readonly sessionId: string;
  readonly turnId: string;
  readonly reply: string;
  readonly position?: { readonly stepId: string };
}

/** What somebody does who has just cloned the repository: with the real embedder and a real process. */
describe("in the first hour with Soldier", { timeout: startMaxMs }, () => {
  const directory = mkdtempSync(join(tmpdir(), "soldier-first-hour-"));
  let running: Started;
  beforeAll(async () => {
    running = await start(directory);
  }, startMaxMs);
  afterAll(async () => {
    await running.stop();
    rmSync(directory, { recursive: true, force: true });
  }, startMaxMs);

  it("the start says where it is and how to ask, without a key", () => {
    expect(running.output()).toContain(running.announcement.url);
    expect(running.output()).toContain("curl");
    expect(running.output()).toContain("ANTHROPIC_API_KEY");
  });

  it("the shop's desk answers questions and looks orders up", async () => {
    await converse("shop", [
      ["hello", "service desk of Larkspur"],
      ["how long does delivery take?", "2 to 4 working days"],
      ["Where is my order L-10425?", "on its way to you"],
      ["thanks!", "welcome"],
    ]);
  });

  it("the shop's desk takes a return back, over several turns, and registers it", async () => {
    await converse("shop", [
      ["I want to return something", "order number"],
      ["it is L-10423", "refund or an exchange"],
      ["a refund please", "Shall I go ahead"],
      ["yes", "your return has the number R-"],
    ]);
    await converse("shop", [["I want to send back my order L-10311", "more than 30 days ago"]]);
  });

  it("the shop's desk says so when it does not understand, and hands over when asked", async () => {
    await converse("shop", [
      ["wibble wobble zork", "not sure that I understood"],
      ["let me talk to a real person", "hand you over to a colleague"],
    ]);
  });

  it("the bank's desk is installed by the command line and blocks a card", async () => {
    const applied = await soldier("apply", "examples/bank");
    expect(applied).toMatchObject({ code: 0, output: expect.stringContaining("bank:") });
    await converse("bank", [
      ["I lost my card!", "last four digits"],
      ["4821", "can't be undone"],
      ["yes", "is blocked since"],
      ["yes please", "new card is on its way"],
    ]);
    await converse("bank", [
      ["what does it cost to withdraw cash", "first three in a month are free"],
    ]);
  });

  it("a change is live for the next message within two seconds", async () => {
    const before = await say("shop", "do you have a store in Berlin");
    expect(before.reply).toContain("showrooms in Berlin");
    const { template } = await api<{ template: object }>(
      "GET",
      "/v1/agents/shop/templates/store-locations",
    );
    const changed = { ...template, text: "Our showrooms are in Porto and in Lyon now." };
    await api("PUT", `/v1/agents/shop/templates/store-locations`, changed);
    await api("POST", "/v1/agents/shop/publish", {});
    const published = Date.now();
    await expect
      .poll(async () => (await say("shop", "do you have a store in Berlin")).reply)
      .toContain("Porto");
    expect(Date.now() - published).toBeLessThan(2_000);
  });

  it("a conversation can be read, explained, and deleted", async () => {
    const { sessionId, turnId } = await say("shop", "can I pay with paypal");
    const { turns } = await api<{ turns: { id: string }[] }>(
      "GET",
      `/v1/sessions/${sessionId}/turns`,
    );
    expect(turns.map(({ id }) => id)).toEqual([turnId]);
    const record = async () => {
      const res = await ask("GET", `/v1/turns/${turnId}/explanation`);
      const { record: found } = (await res.json()) as {
        record?: { rules: { name: string; applied?: boolean }[] };
      };
      return found?.rules.filter(({ applied }) => applied).map(({ name }) => name) ?? [];
    };
    await expect.poll(record, { timeout: 10_000 }).toContain("payment-methods");
    await api("DELETE", `/v1/sessions/${sessionId}`);
    expect((await ask("GET", `/v1/sessions/${sessionId}`)).status).toBe(404);
  });

  it("a second start keeps what was said and installs nothing anew", async () => {
    const { sessionId } = await say("shop", "hello");
    await running.stop();
    running = await start(directory);
    const { turns } = await api<{ turns: object[] }>("GET", `/v1/sessions/${sessionId}/turns`);
    expect(turns).toHaveLength(1);
    const { versions } = await api<{ versions: object[] }>("GET", "/v1/agents/bank/versions");
    expect(versions).toHaveLength(1);
  });

  async function converse(
    agent: string,
    lines: readonly (readonly [string, string])[],
  ): Promise<void> {
    let sessionId: string | undefined;
    for (const [message, expected] of lines) {
      const answer: Reply = await say(agent, message, sessionId);
      expect(answer.reply, `to "${message}"`).toContain(expected);
      sessionId = answer.sessionId;
    }
  }

  function say(agent: string, message: string, sessionId?: string): Promise<Reply> {
    return api<Reply>("POST", "/v1/chat", { agent, message, ...(sessionId && { sessionId }) });
  }

  async function api<T>(method: string, path: string, body?: object): Promise<T> {
    const res = await ask(method, path, body);
    const answer: unknown = await res.json();
    expect(res.status, JSON.stringify(answer)).toBe(200);
    return answer as T;
  }

  function ask(method: string, path: string, body?: object): Promise<Response> {
    const { url, token } = running.announcement;
    return fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body && { "content-type": "application/json" }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  }

  async function soldier(...args: string[]): Promise<{ code: number; output: string }> {
    const { url, token } = running.announcement;
    const child = spawn(
      process.execPath,
      ["cli/src/main.ts", ...args, "--url", url, "--token", token],
      {
        cwd: root,
      },
    );
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, "exit")) as [number];
    return { code, output };
  }
});

interface Started {
  readonly announcement: Announcement;
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

async function start(directory: string): Promise<Started> {
  const child: ChildProcess = spawn(process.execPath, ["deploy/local/main.ts", directory], {
    cwd: root,
    env: {
      ...process.env,
      SOLDIER_ENV: "development",
      SOLDIER_SERVER__PORTS__CHAT_GATEWAY: "0",
      SOLDIER_SERVER__ADMIN_PORTS__TOGETHER: "0",
      ANTHROPIC_API_KEY: "", // keyless, whatever the machine has
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exited = once(child, "exit");
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  await vi.waitUntil(() => output.includes("Stop:") || ended(), {
    timeout: startMaxMs,
    interval: 50,
  });
  expect(ended(), output).toBe(false);
  const file: unknown = JSON.parse(readFileSync(join(directory, "local.json"), "utf8"));
  return {
    announcement: announcementSchema.parse(file),
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      expect(child.exitCode, output).toBe(0);
    },
  };
}
