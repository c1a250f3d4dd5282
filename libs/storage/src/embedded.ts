import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import postgres from "postgres";
import { type Account, accountFor, canReach } from "./embedded-account.ts";
import { type Binaries, binariesFor } from "./embedded-binaries.ts";
import { endOrphan, holdDirectory } from "./embedded-lock.ts";
import { bareEnvironment, startServer } from "./embedded-server.ts";

export interface EmbeddedOptions {
  /** Holds the data, the password and the log; made when absent. Remove it to begin anew. */
  readonly directory: string;
  /** On 127.0.0.1; a free one when not given. */
  readonly port?: number;
  readonly log?: Log;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  /** Of the database "soldier", as the role that owns it and may make others, but is no superuser. */
  readonly url: string;
  readonly port: number;
}

/** What a server is made of. */
interface Place {
  readonly directory: string;
  /** The data directory as we name it. */
  readonly data: string;
  readonly account: Account | undefined;
  readonly binaries: Binaries;
  readonly password: string;
}

/**
 * A real PostgreSQL 18 from npm on the given directory, until disposed or this process ends. Nothing
 * needs to be installed; it listens on loopback only and wants the password that the directory
 * keeps. Root may start it too, see accountFor.
 *
 * Throws the Fault "conflict" when another process has the directory open or the port is taken, and
 * "precondition" when it can't run here; each with a sentence for the user.
 */
export async function embeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { log = silentLog } = options;
  const directory = resolve(options.directory);
  const account = await accountFor(directory);
  await mkdir(directory, { recursive: true });
  await using undo = new AsyncDisposableStack();
  undo.use(await holdDirectory(directory, join(directory, "owner.json")));
  const data = join(directory, "data");
  await endOrphan(data);
  const binaries = await binariesFor(account, log);
  const place = { directory, data, account, binaries, password: await passwordIn(directory) };
  await initialise(place);
  const { server, port } = await startOnPort(place, options.port, log);
  undo.use(server);
  await makeDatabase(place.password, port);
  log.debug({ directory, port }, "the embedded PostgreSQL is ready");
  const opened = undo.move();
  return {
    url: urlOf("soldier", place.password, port),
    port,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function passwordIn(directory: string): Promise<string> {
  const file = join(directory, "password");
  const found = await readFile(file, "utf8").catch(() => "");
  if (found.trim()) return found.trim();
  const password = randomBytes(24).toString("base64url");
  await writeFile(file, password, { mode: 0o600 });
  return password;
}

/** Makes the data directory beside its place and moves it there: it is whole or absent. */
async function initialise(place: Place): Promise<void> {
  const { directory, data, account, binaries } = place;
  const version = await readFile(join(data, "PG_VERSION"), "utf8").catch(() => undefined);
  if (version?.trim() === binaries.major) return;
  if (version !== undefined)
    throw new Fault(
      "precondition",
      `${data} was made by PostgreSQL ${version.trim()}, this is ${binaries.major}; move ${directory} away to begin anew`,
    );
  const fresh = join(directory, "data.new");
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  if (account) await chown(fresh, account.uid, account.gid);
  await runInitdb(place, fresh);
  await rename(fresh, data);
}

async function runInitdb(place: Place, fresh: string): Promise<void> {
  const { directory, account, binaries, password } = place;
  // Handed over as an open file: the account may not be able to reach it by its path.
  const passwordFile = join(directory, "password.new");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (account) await chown(passwordFile, account.uid, account.gid);
  await using handle = await open(passwordFile, "r");
  const args = [
    `--pgdata=${await pathFor(place, fresh)}`,
    "--username=postgres",
    "--pwfile=/dev/fd/3",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-locale",
    // Not the machine's locale: data must sort the same wherever the directory is taken.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
  ];
  const child = spawn(binaries.initdb, args, {
    ...account,
    cwd: fresh,
    env: bareEnvironment,
    stdio: ["ignore", "ignore", "pipe", handle.fd],
  });
  let complaints = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  const [code] = await once(child, "close");
  await rm(passwordFile, { force: true });
  if (code !== 0)
    throw new Fault("precondition", `initdb failed in ${fresh}: ${complaints.trim()}`);
}

/**
 * How the server's account names the data directory. Folders above it may be closed to the account,
 * a clone under root's home for example. Linux lets a process that was started inside use its
 * working directory all the same, by this name.
 */
async function pathFor({ directory, account }: Place, data: string): Promise<string> {
  if (await canReach(directory, account)) return data;
  if (process.platform === "linux") return "/proc/self/cwd";
  throw new Fault(
    "precondition",
    `PostgreSQL does not run as root, and other users may not enter ${directory}; start as an ordinary user`,
  );
}

async function startOnPort(place: Place, wanted: number | undefined, log: Log) {
  const { directory, data, account, binaries } = place;
  const dataPath = await pathFor(place, data);
  const logFile = join(directory, "postgres.log");
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? (await freePort());
    const { postgres: program } = binaries;
    const options = { postgres: program, data, dataPath, account, port, logFile, log };
    const server = await startServer(options);
    if (typeof server !== "string") return { server, port };
    const taken = /could not bind|Address already in use/.test(server);
    // A free port may be taken between the look and the start.
    if (taken && wanted === undefined && attempt < 5) continue;
    if (taken) throw new Fault("conflict", `port ${port} of 127.0.0.1 is in use`);
    throw new Fault(
      "precondition",
      `PostgreSQL did not start in ${directory}: ${server || "it said nothing in time"}`,
      { reason: "EMBEDDED_POSTGRES_FAILED" },
    );
  }
}

async function makeDatabase(password: string, port: number): Promise<void> {
  const sql = postgres(urlOf("postgres", password, port), { max: 1, onnotice: () => {} });
  try {
    // A start that was cut short may have made the role already. The password is of our own letters.
    const roles = await sql`select from pg_roles where rolname = 'soldier'`;
    if (roles.count === 0)
      await sql.unsafe(`create role soldier login createdb password '${password}'`);
    // It makes the roles that services work as. Also where an earlier release has made it without.
    await sql`alter role soldier createrole`;
    const found = await sql`select from pg_database where datname = 'soldier'`;
    if (found.count === 0) await sql`create database soldier owner soldier`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function urlOf(role: string, password: string, port: number): string {
  return `postgres://${role}:${password}@127.0.0.1:${port}/${role}`;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  return address.port;
}
