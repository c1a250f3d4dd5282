import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { openApi } from "./api.ts";
import { chat, type ChatOptions } from "./chat.ts";
import { openFakeApi } from "./testing.ts";

/** Somewhere to write to, and what was written. */
function paper() {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { stream, text: () => text };
}

async function talk(options: ChatOptions, lines: readonly string[] = []) {
  const api = await openFakeApi();
  const output = paper();
  const errors = paper();
  const input = Readable.from(lines.map((line) => `${line}\n`));
  const terminal = { input, output: output.stream, errors: errors.stream };
  const done = chat(openApi({ ...api, agent: undefined }), { agent: "shop", ...options }, terminal);
  return { api, done, output: output.text, errors: errors.text };
}

describe("a chat", () => {
  it("prints one answer, and nothing else, when asked once", async () => {
    const { done, output, errors, api } = await talk({ once: "hello there" });
    await done;
    expect([output(), errors()]).toEqual(["You said: hello there\n", ""]);
    expect(api.said).toMatchObject([{ agent: "shop", sessionId: "", message: "hello there" }]);
    expect(api.said[0]?.idempotencyKey).not.toBe("");
  });

  it("lets the agent speak first, also when it begins anew, and hears when it is silent", async () => {
    const { done, output, api } = await talk({ opening: true }, ["one", "/new", "two"]);
    await done;
    expect(output()).toBe("Welcome!\nYou said: one\nWelcome!\nYou said: two\n");
    expect(api.said.map(({ opening, message }) => [opening, message])).toEqual([
      [true, ""],
      [false, "one"],
      [true, ""],
      [false, "two"],
    ]);
    const mute = await talk({ agent: "mute", opening: true, once: "hello", verbose: true });
    await mute.done;
    expect(mute.output()).toBe("You said: hello\n");
    expect(mute.errors()).toContain("turn 1 · silent");
  });

  it("prints an answer that comes in no pieces", async () => {
    const { done, output } = await talk({ once: "quiet" });
    await done;
    expect(output()).toBe("You said: quiet\n");
  });

  it("says what an answer came from only when that is wanted, apart from the answer", async () => {
    const { done, output, errors } = await talk({ once: "hello", verbose: true });
    await done;
    expect(output()).toBe("You said: hello\n");
    expect(errors()).toContain("turn 1 · template · rules: greeting · step ask-order");
  });

  it("keeps a session over its messages, until a new one is begun", async () => {
    const { done, output, api } = await talk({}, ["one", "", "two", "/new", "three", "/quit", "x"]);
    await done;
    expect(output()).toBe("You said: one\nYou said: two\nYou said: three\n");
    const [first, second, third] = api.said.map(({ sessionId }) => sessionId);
    expect(first).toBe("");
    expect(second).not.toBe("");
    expect(third).toBe("");
    expect(new Set(api.said.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3);
  });

  it("goes on with a session", async () => {
    const session = "01930000-0000-7000-8000-000000000001";
    const { done, api, output } = await talk({ agent: "", session }, ["hello", "/session"]);
    await done;
    expect(api.said).toMatchObject([{ agent: "", sessionId: session }]);
    expect(output()).toBe(`You said: hello\n${session}\n`);
  });

  it("tells what went wrong and goes on", async () => {
    const { done, output, errors } = await talk({}, ["closed", "break", "fine"]);
    await done;
    expect(output()).toBe("You \nYou said: fine\n");
    expect(errors()).toBe(
      "SESSION_CLOSED: the session is over\nMODEL_UNAVAILABLE: the model is gone\n",
    );
  });

  it("fails with what went wrong when asked once", async () => {
    const { done } = await talk({ once: "closed" });
    await expect(done).rejects.toThrow("the session is over");
  });

  it("keeps control characters from the terminal", async () => {
    const { done, output } = await talk({ once: "a\u001b[2Jb\u009bc\td" });
    await done;
    expect(output()).toBe("You said: a[2Jbc\td\n");
  });

  it("needs somebody to talk to", async () => {
    const { done } = await talk({ agent: "", once: "hello" });
    await expect(done).rejects.toThrow("--agent");
  });

  it("ends an answer by the first Ctrl-C and the conversation by the next", async () => {
    const api = await openFakeApi();
    const output = paper();
    const errors = paper();
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const terminal = { input, output: output.stream, errors: errors.stream };
    const done = chat(openApi({ ...api, agent: undefined }), { agent: "shop" }, terminal);
    const shown = (text: string) => expect.poll(output.text).toContain(text);
    await shown("> ");
    input.write("slow\r");
    await shown("You ");
    input.write("\u0003");
    await shown("You \n");
    input.write("fine\r");
    await shown("You said: fine\n");
    input.write("\u0003");
    await done;
    expect(errors.text()).toBe("\n");
    expect(output.text()).toContain("to go on: --session ");
  });

  it("ends with Ctrl-D, even while an answer comes", async () => {
    const api = await openFakeApi();
    const output = paper();
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const terminal = { input, output: output.stream, errors: new PassThrough() };
    const done = chat(openApi({ ...api, agent: undefined }), { agent: "shop" }, terminal);
    input.write("hello\r\u0004");
    await done;
    expect(output.text()).toContain("You said: hello\n");
  });
});
