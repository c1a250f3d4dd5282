import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rename, stat } from "node:fs/promises";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@soldier/kernel/log";
import type { Account } from "./embedded-account.ts";
import { postmasterStatus } from "./embedded-lock.ts";

export interface ServerOptions {
  /** The program. */
  readonly postgres: string;
  /** The data directory, and the path by which the account finds it. */
  readonly data: string;
  readonly dataPath: string;
  readonly account: Account | undefined;
  readonly port: number;
  readonly logFile: string;
  readonly log: Log;
}

/** Without the environment of ours, which may hold keys. */
export const bareEnvironment = { PATH: "/usr/bin:/bin", LC_ALL: "C" };

/** Crash recovery after a long run may take a while. */
const startTimeoutMs = 120_000;
const stopTimeoutMs = 30_000;
const logSizeMax = 10_000_000;

/** Small: a laptop runs it beside everything else. What is durable stays durable: fsync is on. */
const tuning = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  shared_buffers: "64MB",
  max_wal_size: "256MB",
  // Until a new database's tables are counted, plans are made as if they were empty.
  autovacuum_naptime: "5s",
  log_checkpoints: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  io_method: "sync",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  cluster_name: "soldier",
  // Neither statements nor the values in error details: they are customers' text.
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
};

/**
 * Starts a server and waits until it takes connections. Disposing stops it cleanly; so does the end
 * of this process, however it comes. Resolves to the end of the server's log when it doesn't start.
 */
export async function startServer(options: ServerOptions): Promise<AsyncDisposable | string> {
  await keepShort(options.logFile);
  await using output = await open(options.logFile, "a", 0o600);
  const { size: before } = await output.stat();
  const settings = Object.entries({ ...tuning, port: String(options.port) });
  const server = spawn(
    options.postgres,
    ["-D", options.dataPath, ...settings.flatMap(([key, value]) => ["-c", `${key}=${value}`])],
    {
      ...options.account,
      cwd: options.data,
      // A session of its own: Ctrl-C in a terminal is for us, who stop the server last.
      detached: true,
      env: bareEnvironment,
      stdio: ["ignore", output.fd, output.fd],
    },
  );
  server.unref();
  await once(server, "spawn");
  const watch = stopWithUs(server, options.account);
  if (!(await ready(server, options.data))) {
    watch.kill();
    await stop(server, options.log);
    return (await readFile(options.logFile)).subarray(before).toString("utf8").trim().slice(-2_000);
  }
  const died = () =>
    options.log.error({ logFile: options.logFile }, "the embedded PostgreSQL stopped unexpectedly");
  server.once("exit", died);
  return {
    async [Symbol.asyncDispose]() {
      server.off("exit", died);
      await stop(server, options.log);
      watch.kill();
    },
  };
}

async function ready(server: ChildProcess, data: string): Promise<boolean> {
  const until = performance.now() + startTimeoutMs;
  while (server.exitCode === null && server.signalCode === null && performance.now() < until) {
    const status = await postmasterStatus(data);
    if (status?.pid === server.pid && status?.state === "ready") return true;
    await delay(10);
  }
  return false;
}

/** Ends the sessions, writes a checkpoint and waits for the end. */
async function stop(server: ChildProcess, log: Log): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.ref();
  const gone = once(server, "exit");
  server.kill("SIGINT");
  const timer = setTimeout(() => {
    log.warn({ pid: server.pid }, "PostgreSQL does not stop; ending it without a checkpoint");
    server.kill("SIGQUIT");
  }, stopTimeoutMs);
  await gone;
  clearTimeout(timer);
}

/**
 * A shell that waits for the end of its input, which comes with the end of this process even by
 * kill -9, and then stops the server. Otherwise a crash would leave it running.
 */
function stopWithUs(server: ChildProcess, account: Account | undefined): ChildProcess {
  const watch = spawn("/bin/sh", ["-c", 'read -r _; kill -INT "$0"', String(server.pid)], {
    ...account,
    cwd: "/",
    detached: true,
    env: bareEnvironment,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watch.on("error", () => {}); // without a shell the next start stops the orphan, see endOrphan
  watch.stdin.on("error", () => {}); // it ends when the watch is killed
  watch.unref();
  // A pipe to a child is a socket, which the type doesn't say: it must not keep us alive either.
  if (watch.stdin instanceof Socket) watch.stdin.unref();
  server.once("exit", () => watch.kill());
  return watch;
}

/** One old log is kept. */
async function keepShort(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found && found.size > logSizeMax) await rename(file, `${file}.1`);
}
