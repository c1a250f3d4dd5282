import { execFile } from "node:child_process";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { describe, expect, it } from "vitest";
import { folderWith, openFakeApi } from "./testing.ts";

const program = join(import.meta.dirname, "main.ts");

/** Runs the command as a user does: as a process of its own, with this environment only. */
function soldier(args: readonly string[], env: Readonly<Record<string, string>> = {}, typed = "") {
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const options = { env: { SOLDIER_ENV: "test", ...env }, timeout: 15_000 };
    const child = execFile(process.execPath, [program, ...args], options, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, out, err });
    });
    child.stdin?.end(typed);
  });
}

/** An address where nobody listens: it was free a moment ago. */
async function closedUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || !address) throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

describe("the command", () => {
  it("chats once and leaves with 0", async () => {
    const { url, token } = await openFakeApi();
    const args = ["chat", "--agent", "shop", "--once", "hello"];
    const said = await soldier(args, { SOLDIER_URL: url, SOLDIER_TOKEN: token });
    expect(said).toEqual({ code: 0, out: "You said: hello\n", err: "" });
  });

  it("chats line by line, and leaves with 0 when there are no more", async () => {
    const { url, token } = await openFakeApi();
    const args = ["chat", "--agent", "shop", "--url", url, "--token", token];
    const said = await soldier(args, {}, "hello\nclosed\nbye");
    const err = "SESSION_CLOSED: the session is over\n";
    expect(said).toEqual({ code: 0, out: "You said: hello\nYou said: bye\n", err });
  });

  it("says that nothing runs, and leaves with 1", async () => {
    const url = await closedUrl();
    const none = await soldier([
      "chat",
      "--agent",
      "shop",
      "--once",
      "hi",
      "--url",
      url,
      "--token",
      "x",
    ]);
    expect(none).toEqual({
      code: 1,
      out: "",
      err: `NOTHING_RUNNING: nobody answers at ${url}. Start Soldier with \`npm start\`\n`,
    });
  });

  it("says that a token is not accepted, and leaves with 1", async () => {
    const { url } = await openFakeApi();
    const said = await soldier(["export", "shop", folderWith(), "--url", url, "--token", "x"]);
    expect(said).toEqual({ code: 1, out: "", err: "TOKEN_INVALID: the token is not valid\n" });
  });

  it("applies files, and lists each problem in its line", async () => {
    const { url, token } = await openFakeApi();
    const env = { SOLDIER_URL: url, SOLDIER_TOKEN: token };
    const good = await soldier(["apply", "examples/shop", "--dry-run"], env);
    expect([good.code, good.out]).toEqual([0, expect.stringContaining("only a dry run")]);

    const directory = folderWith({ "agent.yaml": "agent:\n  slug: shop\nrules:\n  - nam: x\n" });
    const wrong = await soldier(["apply", directory], env);
    expect(wrong.err).toBe(
      `AGENT_FILES_INVALID: the agent files in ${directory} have a problem:\n` +
        `  ${directory}/agent.yaml:4: rules[0].nam: there is no such field; did you mean name?\n`,
    );

    const guard = "agent:\n  slug: shop\nrules:\n  - name: x\n    guard: has(\n";
    const refusing = folderWith({ "agent.yaml": guard });
    const refused = await soldier(["apply", refusing], env);
    expect([wrong.code, refused.code]).toEqual([1, 1]);
    expect(refused.err).toBe(
      `DRAFT_INVALID: the agent has 2 problems\n` +
        `  ${refusing}/agent.yaml:5: rules/x.guard: is no expression\n` +
        `  ${refusing}/agent.yaml:1: agent.settings.generation.model: is not there\n`,
    );
  });

  it("says whom else than Soldier it has met", async () => {
    const other = createHttpServer((_, res) => res.end("hello")).listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const address = other.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    const said = await soldier(["apply", "examples/shop", "--url", url, "--token", "x"]);
    other.close();
    expect(said.code).toBe(1);
    expect(said.err).toMatch(`ANSWER_INVALID: ${url} does not answer as Soldier: `);
  });

  it("signs tokens", async () => {
    const { code, out } = await soldier(["token", "--tenant", "acme", "--roles", "chat, operator"]);
    expect(code).toBe(0);
    expect(decodeJwt(out.trim())).toMatchObject({
      tenant: "acme",
      sub: "you",
      roles: ["chat", "operator"],
      iss: "soldier",
    });
    const wrong = await soldier(["token", "--hours", "many"]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("number above 0")]);
  });

  it("names the services that there are", async () => {
    const { code, err } = await soldier(["serve", "sesion"]);
    expect([code, err]).toEqual([
      1,
      'SERVICE_UNKNOWN: no service is called "sesion"; did you mean session? there are alignment, audit, chat-gateway, config, memory, profile, session\n',
    ]);
  });

  it("says what is wrong with the settings of a service before it starts", async () => {
    const said = await soldier(["serve", "session"], { SOLDIER_SESSION__LEASE: "x" });
    expect(said.code).toBe(1);
    expect(said.err).toMatch(/^Cannot start: .*\n.*SOLDIER_SESSION__LEASE: there is no such/);
  });
});
