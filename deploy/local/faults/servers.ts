import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import { type EmbeddedPostgres, embeddedPostgres } from "@soldier/storage/embedded";

/** A server of the run's own, on a port of its own, that can be ended abruptly and started again. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  /** Without a farewell. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface PostgresServer extends Server {
  readonly url: string;
}

export interface NatsServer extends Server {
  readonly directory: string;
  /** How often the probe of its life had it killed and started again. */
  readonly revivals: number;
  /** Forgets all that it kept; while it is not running. */
  wipe(): void;
}

export async function startPostgres(directory: string): Promise<PostgresServer> {
  let running: EmbeddedPostgres = await embeddedPostgres({ directory });
  const { port, url } = running;
  const pid = () =>
    Number(readFileSync(join(directory, "data/postmaster.pid"), "utf8").split("\n")[0]);
  return {
    port,
    url,
    async kill() {
      process.kill(pid(), "SIGQUIT"); // ends at once and without a checkpoint: it must recover
      await running[Symbol.asyncDispose]();
    },
    async start() {
      running = await embeddedPostgres({ directory, port });
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** `storeMaxMb` bounds what its streams hold: less than their disk, where that is to be filled. */
export async function startNats(directory: string, storeMaxMb = 20_000): Promise<NatsServer> {
  const port = await freePort();
  const monitor = await freePort();
  const settings = `${directory}.conf`;
  // Without a bound of its own the server takes one from what is free as it starts: 0 on a full disk.
  writeFileSync(
    settings,
    `listen: "127.0.0.1:${port}"
http: "127.0.0.1:${monitor}"
jetstream { store_dir: "${join(directory, "store")}", max_file_store: ${storeMaxMb}MB }
`,
  );
  const server = await startProgram("nats-server", "nats-server", port, directory, () => [
    "--config",
    settings,
  ]);
  const life = probeLife(`http://127.0.0.1:${monitor}/jsz`, server);
  return {
    port,
    directory,
    get revivals() {
      return life.revivals;
    },
    async kill() {
      await life.pause();
      await server.kill();
    },
    async start() {
      await server.start();
      life.goOn();
    },
    wipe: () => rmSync(join(directory, "store"), { recursive: true, force: true }),
    async [Symbol.asyncDispose]() {
      await life.pause();
      await server[Symbol.asyncDispose]();
    },
  };
}

const probeEveryMs = 1_000;
const probeTimeoutMs = 2_000;
const probesMissedMax = 3;

/**
 * What Kubernetes does with a livenessProbe. NATS 2.9.10 stands still for good when its disk was full
 * while it wrote: it takes connections and says that it is healthy, only JetStream answers nothing.
 */
function probeLife(url: string, server: Server) {
  const life = { isPaused: false, missed: 0, revivals: 0 };
  async function probe(): Promise<void> {
    const signal = AbortSignal.timeout(probeTimeoutMs);
    const answered = await fetch(url, { signal })
      .then((res) => res.text())
      .then(
        () => true,
        () => false,
      );
    life.missed = answered || life.isPaused ? 0 : life.missed + 1;
    if (life.missed < probesMissedMax) return;
    life.missed = 0;
    life.revivals += 1;
    await server.kill();
    await server.start();
  }
  let probing: Promise<void> | undefined;
  setInterval(() => {
    if (!life.isPaused) probing ??= probe().finally(() => (probing = undefined));
  }, probeEveryMs).unref();
  return {
    get revivals() {
      return life.revivals;
    },
    async pause() {
      life.isPaused = true;
      await probing;
    },
    goOn() {
      life.isPaused = false;
    },
  };
}

export async function startRedis(directory: string): Promise<Server> {
  const port = await freePort();
  return await startProgram("redis-server", "redis-server", port, directory, () => [
    "--bind",
    "127.0.0.1",
    "--port",
    String(port),
    "--dir",
    directory,
    // Kept nowhere: a restart is a flush.
    "--save",
    "",
    "--appendonly",
    "no",
  ]);
}

async function startProgram(
  program: string,
  debianPackage: string,
  port: number,
  directory: string,
  args: () => readonly string[],
): Promise<Server> {
  mkdirSync(directory, { recursive: true });
  // Beside its folder, which may be a disk that is about to be full.
  const logFile = `${directory}.log`;
  writeFileSync(logFile, "");
  let child: ChildProcess | undefined;
  async function start(): Promise<void> {
    const log = openSync(logFile, "a");
    const starting = spawn(program, args(), { stdio: ["ignore", log, log] });
    child = starting;
    const failed = once(starting, "error").then(([error]) => {
      throw new Fault(
        "precondition",
        `${program} cannot be started (${String(error)}); fault runs start their own: install the package ${debianPackage}`,
      );
    });
    await Promise.race([failed, listening(port)]);
    failed.catch(() => {});
  }
  async function kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
  await start();
  return { port, start, kill: () => kill(), [Symbol.asyncDispose]: () => kill("SIGTERM") };
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const socket = connect(port, "127.0.0.1");
    const opened = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (opened) return;
    await pause(50);
  }
  throw new Fault("unavailable", `nobody listens on port ${port} after 30 s`);
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
