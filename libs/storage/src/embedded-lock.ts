import { execFile } from "node:child_process";
import { open, readFile, readlink, realpath, rm } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";

const run = promisify(execFile);

const holderSchema = z.object({ pid: z.int(), born: z.string() });

/**
 * Makes this process the only one that uses the directory, until disposed. Throws the Fault
 * "conflict" while another that does is alive; one that was killed is succeeded.
 */
export async function holdDirectory(directory: string, file: string): Promise<AsyncDisposable> {
  const me = { pid: process.pid, born: (await birth(process.pid)) ?? "" };
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = await open(file, "wx", 0o644);
      await handle.writeFile(JSON.stringify(me));
      await handle.close();
      return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    } catch (error) {
      if (!isCode(error, "EEXIST") || attempt === 5) throw error;
    }
    const holder = await readHolder(file);
    if (holder && (await birth(holder.pid)) === holder.born)
      throw new Fault(
        "conflict",
        `the database in ${directory} is in use by process ${holder.pid}; stop that first, or use another directory`,
        { reason: "DIRECTORY_IN_USE" },
      );
    await rm(file, { force: true });
  }
}

/**
 * Ends a server that outlived the process which started it, so that its directory can be opened
 * again, and removes a pid file whose number now belongs to something else; PostgreSQL takes that
 * for a live server when both run as the same user.
 */
export async function endOrphan(data: string): Promise<void> {
  const pid = (await postmasterStatus(data))?.pid;
  if (pid === undefined || !isAlive(pid)) return; // a stale file of a dead server PostgreSQL sees through
  if (!(await serves(pid, data))) return await rm(`${data}/postmaster.pid`, { force: true });
  for (const [signal, patienceMs] of [
    ["SIGINT", 30_000],
    ["SIGQUIT", 10_000],
  ] as const) {
    process.kill(pid, signal);
    if (await ends(pid, data, patienceMs)) return;
  }
  throw new Fault("conflict", `PostgreSQL process ${pid} still uses ${data} and does not stop`);
}

/** What the server says of itself in its data directory; its state is "ready" when it takes connections. */
export async function postmasterStatus(
  data: string,
): Promise<{ readonly pid: number; readonly state: string } | undefined> {
  try {
    const lines = (await readFile(`${data}/postmaster.pid`, "utf8")).split("\n");
    const pid = Number(lines[0]);
    return pid > 0 ? { pid, state: lines[7]?.trim() ?? "" } : undefined;
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function readHolder(file: string): Promise<z.output<typeof holderSchema> | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    // Gone meanwhile, or cut short by a crash while it was written.
    if (isCode(error, "ENOENT") || error instanceof SyntaxError || error instanceof z.ZodError)
      return undefined;
    throw error;
  }
}

/** When a process began, in the system's own notation; undefined when there is none. Tells a reused pid. */
async function birth(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    // The name, in brackets, may hold spaces. After it come the state, third of the fields, and all
    // others; the 22nd is the start. A zombie, which nobody may ever reap, is as good as gone.
    const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields?.[0] === "Z" ? undefined : fields?.[19];
  }
  const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({
    stdout: "",
  }));
  return stdout.trim() || undefined;
}

/** Whether the process is a PostgreSQL server on this data directory. */
async function serves(pid: number, data: string): Promise<boolean> {
  if (process.platform === "linux") {
    try {
      const program = basename(await readlink(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
      return (
        program === "postgres" && (await readlink(`/proc/${pid}/cwd`)) === (await realpath(data))
      );
    } catch {
      return false; // not ours to look into, so not started by us
    }
  }
  const { stdout } = await run("ps", ["-o", "command=", "-p", String(pid)]).catch(() => ({
    stdout: "",
  }));
  return stdout.includes("postgres") && stdout.includes(data);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, "EPERM");
  }
}

async function ends(pid: number, data: string, patienceMs: number): Promise<boolean> {
  const until = performance.now() + patienceMs;
  while (performance.now() < until) {
    if (!(await serves(pid, data))) return true;
    await delay(20);
  }
  return false;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
