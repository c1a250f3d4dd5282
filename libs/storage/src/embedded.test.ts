import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { afterEach, describe, expect, it } from "vitest";
import { type Account, canReach } from "./embedded-account.ts";
import { endOrphan, postmasterStatus } from "./embedded-lock.ts";
import { embeddedPostgres } from "./embedded.ts";

const isRoot = process.getuid?.() === 0;
const nobody: Account = { uid: 65534, gid: 65534 };
const repository = join(import.meta.dirname, "..", "..", "..");

/** Only root may start a process of another user, and only where that user can read our sources. */
const nobodyCanRun = isRoot && (await canReach(repository, nobody));

describe("the embedded PostgreSQL", () => {
  const opened: AsyncDisposable[] = [];

  async function newDirectory(mode = 0o755): Promise<string> {
    const parent = await mkdtemp(join(tmpdir(), "soldier-embedded-"));
    opened.push({ [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }) });
    await chmod(parent, mode);
    return join(parent, "postgres");
  }

  afterEach(async () => {
    for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  });

  it("keeps its data over a restart", async () => {
    const directory = await newDirectory();
    {
      await using server = await embeddedPostgres({ directory });
      await query(server.url, "create table kept (n int); insert into kept values (41), (42)");
    }
    await using server = await embeddedPostgres({ directory });
    expect(await query(server.url, "select n from kept order by n")).toEqual([
      { n: 41 },
      { n: 42 },
    ]);
  });

  it("is PostgreSQL 18, small, durable and bound by row-level security", async () => {
    await using server = await embeddedPostgres({ directory: await newDirectory() });
    const [row] = await query(
      server.url,
      `select current_setting('server_version') as version, current_setting('fsync') as fsync,
              current_setting('shared_buffers') as buffers, current_setting('max_connections') as connections,
              rolsuper as super from pg_roles where rolname = current_user`,
    );
    expect(row).toMatchObject({ fsync: "on", buffers: "64MB", connections: "200", super: false });
    expect(row?.["version"]).toMatch(/^18\./);
  });

  it("starts inside a folder that only its owner may enter", async () => {
    const directory = await newDirectory(0o700);
    {
      await using server = await embeddedPostgres({ directory });
      await query(server.url, "create table kept (n int)");
    }
    await using server = await embeddedPostgres({ directory });
    expect(await query(server.url, "select n from kept")).toEqual([]);
    expect((await stat(join(directory, "password"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "data"))).mode & 0o077).toBe(0);
    expect((await stat(join(directory, "data"))).uid).not.toBe(0);
  });

  it("wants the password and listens on loopback only", async () => {
    await using server = await embeddedPostgres({ directory: await newDirectory() });
    const wrong = server.url.replace(/:[^:@]+@/, ":guess@");
    await expect(query(wrong, "select 1")).rejects.toMatchObject({ code: "28P01" });
    const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    for (const { address } of addresses.filter(
      ({ internal, family }) => !internal && family === "IPv4",
    ))
      expect(await answers(address, server.port)).toBe(false);
  });

  it("refuses a second opener while the first lives", async () => {
    const directory = await newDirectory();
    await using server = await embeddedPostgres({ directory });
    await expect(embeddedPostgres({ directory })).rejects.toMatchObject({
      kind: "conflict",
      message: `the database in ${directory} is in use by process ${process.pid}; stop that first, or use another directory`,
    });
    expect(await query(server.url, "select 1 as still")).toEqual([{ still: 1 }]);
  });

  it("says that a given port is taken", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const address = holder.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const opening = embeddedPostgres({ directory: await newDirectory(), ...(port && { port }) });
    await expect(opening).rejects.toMatchObject({
      kind: "conflict",
      message: `port ${port} of 127.0.0.1 is in use`,
    });
    holder.close();
  });

  it("stops when the process that started it is killed", async () => {
    const directory = await newDirectory();
    const { child } = await startElsewhere(directory);
    const server = await postmasterStatus(join(directory, "data"));
    child.kill("SIGKILL");
    await once(child, "exit");
    await expect.poll(() => isAlive(server?.pid), { timeout: 10_000 }).toBe(false);
  });

  it("succeeds an owner that was killed, with its data", async () => {
    const directory = await newDirectory();
    const { child, url } = await startElsewhere(directory);
    await query(url, "create table kept (n int); insert into kept values (7)");
    child.kill("SIGKILL");
    await once(child, "exit");
    await using server = await embeddedPostgres({ directory });
    expect(await query(server.url, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it("recovers when the server itself was killed too, leaving its pid file", async () => {
    const directory = await newDirectory();
    const { child, url } = await startElsewhere(directory);
    await query(url, "create table kept (n int); insert into kept values (7)");
    const server = await postmasterStatus(join(directory, "data"));
    process.kill(server?.pid ?? 0, "SIGKILL");
    child.kill("SIGKILL");
    await once(child, "exit");
    await using again = await embeddedPostgres({ directory });
    expect(await query(again.url, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it("stops a server that has lost its owner, and believes no pid file that names a stranger", async () => {
    const directory = await newDirectory();
    const data = join(directory, "data");
    await using _server = await embeddedPostgres({ directory });
    const { pid = 0 } = (await postmasterStatus(data)) ?? {};
    await endOrphan(data);
    await expect.poll(() => isAlive(pid)).toBe(false); // we, its parent, hear of it a moment later
    await writeFile(join(data, "postmaster.pid"), `${process.pid}\n${data}\n`);
    await endOrphan(data);
    expect(await postmasterStatus(data)).toBeUndefined();
  });

  it.runIf(nobodyCanRun)("starts as an ordinary user", async () => {
    const parent = await newDirectory();
    await mkdir(parent, { mode: 0o777 });
    await chmod(parent, 0o777);
    const directory = join(parent, "postgres");
    const { child, url } = await startElsewhere(directory, nobody);
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect((await stat(join(directory, "data"))).uid).toBe(nobody.uid);
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    expect(await gone).toEqual([0, null]);
    expect(await readFile(join(directory, "postgres.log"), "utf8")).toMatch(/is shut down\n$/);
  });

  async function startElsewhere(directory: string, account?: Account) {
    const program = `
      import { embeddedPostgres } from ${JSON.stringify(import.meta.resolve("./embedded.ts"))};
      const server = await embeddedPostgres({ directory: ${JSON.stringify(directory)} });
      console.log(server.url);
      const stay = setInterval(() => {}, 60_000);
      process.once("SIGTERM", async () => {
        await server[Symbol.asyncDispose]();
        clearInterval(stay);
      });`;
    const child: ChildProcess = spawn(
      process.execPath,
      ["--input-type=module", "--eval", program],
      { ...account, cwd: "/", stdio: ["ignore", "pipe", "inherit"] },
    );
    opened.push({
      async [Symbol.asyncDispose]() {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill("SIGKILL");
          await once(child, "exit");
        }
        await endOrphan(join(directory, "data"));
      },
    });
    if (!child.stdout) throw new Error("a child without the pipe that was asked for");
    const [url] = await once(createInterface(child.stdout), "line", {
      signal: AbortSignal.timeout(30_000),
    });
    return { child, url: String(url) };
  }
});

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function answers(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port, timeout: 1_000 });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false; // refused, or no answer
  } finally {
    socket.destroy();
  }
}

function isAlive(pid: number | undefined): boolean {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
}
