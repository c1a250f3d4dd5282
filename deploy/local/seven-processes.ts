import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Document } from "@soldier/chassis/settings";
import { valueAt } from "@soldier/chassis/settings-tree";
import { Fault } from "@soldier/kernel/fault";
import postgres from "postgres";
import { isDefault } from "./one-process.ts";

export const names = [
  "config",
  "session",
  "memory",
  "profile",
  "audit",
  "alignment",
  "chat-gateway",
] as const;
export type Name = (typeof names)[number];

/** Nobody calls the edge from inside. */
const peers = names.filter((name) => name !== "chat-gateway");

export interface SevenProcessesOptions {
  readonly settings: Document;
  /** A folder for their logs. */
  readonly logs: string;
  readonly backendUrl: string;
  /** Called when a process ends that nobody has stopped. */
  readonly ended: (name: Name, how: string) => void;
  /** More variables for all of them: for tests and benches. */
  readonly env?: Readonly<Record<string, string>>;
  /** More variables for one of them. */
  readonly envOf?: (name: Name) => Readonly<Record<string, string>>;
  /** Take free ports instead of those in the settings. */
  readonly freePorts?: boolean;
}

export interface SevenProcesses extends AsyncDisposable {
  /** The gateway's. */
  readonly url: string;
  readonly processes: Readonly<Record<Name, { readonly pid: number; readonly admin_url: string }>>;
}

const root = join(import.meta.dirname, "../..");
const startMaxMs = 60_000;
const stopMaxMs = 40_000;

/** One process for each service, ready to serve. Disposing of it drains them all. */
export async function startSevenProcesses(options: SevenProcessesOptions): Promise<SevenProcesses> {
  const { settings, logs, backendUrl, ended } = options;
  await using opened = new AsyncDisposableStack();
  mkdirSync(logs, { recursive: true });
  const database = databaseUrl(settings);
  await makeDatabase(database);
  const ports = await portsFor(options);
  const env = {
    ...process.env,
    SOLDIER_POSTGRES__URL: database,
    SOLDIER_ALIGNMENT__TOOLS__ALLOWED_PRIVATE_HOSTS: new URL(backendUrl).host,
    SOLDIER_ALIGNMENT__TOOL_SETTINGS__EXAMPLE_BACKEND: backendUrl,
    ...Object.fromEntries(
      peers.map((name) => [`SOLDIER_PEERS__${keyOf(name)}`, `127.0.0.1:${ports.get(name)?.port}`]),
    ),
    ...options.env,
  };
  const children = new Map<Name, ChildProcess>();
  let stopping = false;
  opened.defer(async () => {
    stopping = true;
    // The edge first, so that nobody is let in whom the others can't serve.
    for (const name of names.toReversed()) await stopped(children.get(name));
  });
  for (const name of names) {
    const at = ports.get(name);
    const log = openSync(join(logs, `${name}.log`), "w");
    const child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
      cwd: root,
      env: {
        ...env,
        ...options.envOf?.(name),
        [`SOLDIER_SERVER__PORTS__${keyOf(name)}`]: String(at?.port),
        [`SOLDIER_SERVER__ADMIN_PORTS__${keyOf(name)}`]: String(at?.adminPort),
      },
      stdio: ["ignore", log, log],
    });
    children.set(name, child);
    child.once("exit", (code, signal) => {
      if (!stopping) ended(name, signal ?? `exit code ${code}`);
    });
  }
  await Promise.all(
    names.map((name) => ready(name, children.get(name), ports.get(name)?.adminPort, logs)),
  );
  const all = opened.move();
  return {
    url: `http://127.0.0.1:${ports.get("chat-gateway")?.port}`,
    processes: record((name) => ({
      pid: children.get(name)?.pid ?? 0,
      admin_url: `http://127.0.0.1:${ports.get(name)?.adminPort}`,
    })),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function record<T>(of: (name: Name) => T): Readonly<Record<Name, T>> {
  // Object.fromEntries forgets which keys there are.
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<Name, T>;
}

const keyOf = (name: string) => name.replaceAll("-", "_").toUpperCase();

/** The database in the settings, or one of our own on this machine's server. */
function databaseUrl(settings: Document): string {
  if (!isDefault(settings, ["postgres", "url"]))
    return String(valueAt(settings.values, ["postgres", "url"]));
  return "postgres://postgres@127.0.0.1:5432/soldier";
}

async function makeDatabase(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  const server = new URL(url);
  server.pathname = "/postgres";
  const sql = postgres(server.href, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    const [found] = await sql`select 1 from pg_database where datname = ${name}`;
    if (!found) await sql`create database ${sql(name)}`;
  } catch (error) {
    throw new Fault(
      "unavailable",
      `the mesh needs a PostgreSQL at ${server.host} and none answers as hoped (${String(error)}): start it, or set SOLDIER_POSTGRES__URL`,
      { cause: error },
    );
  } finally {
    await sql.end({ timeout: 5 });
  }
}

interface Ports {
  readonly port: number;
  readonly adminPort: number;
}

async function portsFor({
  settings,
  freePorts,
}: SevenProcessesOptions): Promise<ReadonlyMap<Name, Ports>> {
  const ports = new Map<Name, Ports>();
  for (const name of names) {
    const key = name.replaceAll("-", "_");
    const set = (table: string) => Number(valueAt(settings.values, ["server", table, key]));
    ports.set(name, {
      port: freePorts ? await freePort() : set("ports"),
      adminPort: freePorts ? await freePort() : set("admin_ports"),
    });
  }
  return ports;
}

/** Free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("not listening on TCP");
  return address.port;
}

async function ready(
  name: Name,
  child: ChildProcess | undefined,
  adminPort: number | undefined,
  logs: string,
): Promise<void> {
  const url = `http://127.0.0.1:${adminPort}/readyz`;
  const end = Date.now() + startMaxMs;
  for (;;) {
    if (child?.exitCode !== null || Date.now() > end) {
      const log = readFileSync(join(logs, `${name}.log`), "utf8")
        .trim()
        .split("\n")
        .slice(-5)
        .join("\n");
      throw new Fault("unavailable", `${name} did not start; the end of its log:\n${log}`);
    }
    const answer = await fetch(url).catch(() => undefined); // nobody listens there yet
    if (answer?.ok) return;
    await pause(50);
  }
}

async function stopped(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const forced = setTimeout(() => child.kill("SIGKILL"), stopMaxMs);
  await exit;
  clearTimeout(forced);
}
