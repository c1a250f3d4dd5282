import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedPostgres } from "@soldier/storage/embedded";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");

/** A start that can't succeed: a sentence for whoever has to mend it, and exit code 1. */
describe("a start says in a sentence what is in its way:", () => {
  const directory = mkdtempSync(join(tmpdir(), "soldier-start-"));
  const opened = new AsyncDisposableStack();
  let takenPort = 0;
  beforeAll(async () => {
    opened.defer(() => rmSync(directory, { recursive: true, force: true }));
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    opened.defer(() => void server.close());
    const address = server.address();
    if (address !== null && typeof address === "object") takenPort = address.port;
    opened.use(await embeddedPostgres({ directory: join(directory, "live", "postgres") }));
  });
  afterAll(() => opened.disposeAsync());

  it("a variable that sets nothing", async () => {
    const said = await start("one", { SOLDIER_NOPE: "1" });
    expect(said).toMatch(/^Cannot start: .*\n.*SOLDIER_NOPE.*$/);
  });

  it("a database that does not answer, and which", async () => {
    const url = "postgres://nobody:secret-word@127.0.0.1:1/nowhere";
    const said = await start("two", { SOLDIER_POSTGRES__URL: url });
    expect(said).toMatch(/^Cannot start: PostgreSQL at 127\.0\.0\.1:1\/nowhere cannot be used .*$/);
    expect(said).not.toContain("secret-word");
  });

  it("a port that is taken, and the setting that names it", async () => {
    const port = String(takenPort);
    const said = await start("three", { SOLDIER_SERVER__PORTS__CHAT_GATEWAY: port });
    expect(said).toContain(`Cannot start: port ${port} is already in use`);
    expect(said).toContain("SOLDIER_SERVER__PORTS__CHAT_GATEWAY");
  });

  it("a folder that another process works in", async () => {
    expect(await start("live", {})).toMatch(/^Cannot start: .*live.*$/);
  });

  /** What the start has said on stderr. */
  async function start(folder: string, env: Record<string, string>): Promise<string> {
    const child = spawn(process.execPath, ["deploy/local/main.ts", join(directory, folder)], {
      cwd: root,
      env: {
        ...process.env,
        SOLDIER_ENV: "test",
        SOLDIER_SERVER__PORTS__CHAT_GATEWAY: "0",
        SOLDIER_SERVER__ADMIN_PORTS__TOGETHER: "0",
        SOLDIER_EMBEDDER__PROVIDER: "deterministic",
        ...env,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    expect(code, said).toBe(1);
    expect(said).not.toMatch(/^ +at /m); // a stack trace is for bugs
    return said.trim();
  }
});
