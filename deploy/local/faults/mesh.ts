import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import { names } from "../seven-processes.ts";
import { openProxy, type Proxy } from "./proxy.ts";
import { freePort } from "./servers.ts";

/** "alignment-b" is a second replica: one takes over while the other is frozen. */
export const processNames = [...names, "alignment-b"] as const;
export type ProcessName = (typeof processNames)[number];

export interface MeshOptions {
  /** A folder for their logs. */
  readonly logs: string;
  readonly env: Readonly<Record<string, string>>;
  /** What arm.ts is told. */
  readonly armed: {
    readonly control: string;
    readonly directory: string;
    readonly stallMs: number;
  };
}

export interface Mesh extends AsyncDisposable {
  /** The gateway's. */
  readonly url: string;
  /** The ways to each service. */
  readonly ways: ReadonlyMap<string, Proxy>;
  readonly ports: ReadonlyMap<ProcessName, number>;
  /** Resolves when it is gone; the supervisor starts another. */
  kill(name: ProcessName): Promise<void>;
  freeze(name: ProcessName): void;
  thaw(name: ProcessName): void;
  /** Whether all are ready. */
  isReady(): Promise<boolean>;
  /** How often each ended without being told to by the run. */
  readonly deaths: Map<ProcessName, number>;
  pids(): ReadonlyMap<ProcessName, number>;
}

const root = join(import.meta.dirname, "../../..");
const restartMs = 100;
const readyMaxMs = 60_000;

/** The services, each in a process that is started again when it ends, behind ways that can break. */
export async function startMesh({ logs, env, armed }: MeshOptions): Promise<Mesh> {
  await using opened = new AsyncDisposableStack();
  mkdirSync(logs, { recursive: true });
  const ports = new Map<ProcessName, number>();
  const adminPorts = new Map<ProcessName, number>();
  const ways = new Map<string, Proxy>();
  for (const name of processNames) {
    ports.set(name, await freePort());
    adminPorts.set(name, await freePort());
    if (name !== "alignment-b" && name !== "chat-gateway")
      ways.set(name, opened.use(await openProxy(ports.get(name) ?? 0)));
  }
  const peers = Object.fromEntries(
    [...ways].map(([name, { port }]) => [`SOLDIER_PEERS__${keyOf(name)}`, `127.0.0.1:${port}`]),
  );
  const children = new Map<ProcessName, ChildProcess>();
  const deaths = new Map<ProcessName, number>();
  let stopping = false;

  function start(name: ProcessName): void {
    const service = name === "alignment-b" ? "alignment" : name;
    const log = openSync(join(logs, `${name}.log`), "a");
    const child = spawn(
      process.execPath,
      ["--import", join(import.meta.dirname, "arm.ts"), `services/${service}/src/main.ts`],
      {
        cwd: root,
        env: {
          ...process.env,
          ...env,
          ...peers,
          FAULT_RUN: JSON.stringify({ process: name, ...armed }),
          [`SOLDIER_SERVER__PORTS__${keyOf(service)}`]: String(ports.get(name)),
          [`SOLDIER_SERVER__ADMIN_PORTS__${keyOf(service)}`]: String(adminPorts.get(name)),
        },
        stdio: ["ignore", log, log],
      },
    );
    children.set(name, child);
    child.once("exit", () => {
      deaths.set(name, (deaths.get(name) ?? 0) + 1);
      if (!stopping) setTimeout(() => stopping || start(name), restartMs);
    });
  }

  opened.defer(async () => {
    stopping = true;
    await Promise.all([...children.values()].map(stopped));
  });
  for (const name of processNames) start(name);

  const answersReady = async (name: ProcessName) => {
    const url = `http://127.0.0.1:${adminPorts.get(name)}/readyz`;
    const signal = AbortSignal.timeout(1_000);
    const answer = await fetch(url, { signal }).catch(() => undefined); // not there yet
    return answer?.ok === true;
  };
  async function isReady(): Promise<boolean> {
    const answers = await Promise.all(processNames.map(answersReady));
    return answers.every(Boolean);
  }
  for (const end = Date.now() + readyMaxMs; !(await isReady()); await pause(100))
    if (Date.now() > end)
      throw new Fault("unavailable", `the mesh is not ready after a minute; its logs: ${logs}`);
  deaths.clear();
  const all = opened.move();
  const signalled = (name: ProcessName, signal: NodeJS.Signals) =>
    void children.get(name)?.kill(signal);
  return {
    url: `http://127.0.0.1:${ports.get("chat-gateway")}`,
    ways,
    ports,
    async kill(name) {
      const child = children.get(name);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
    freeze: (name) => signalled(name, "SIGSTOP"),
    thaw: (name) => signalled(name, "SIGCONT"),
    isReady,
    deaths,
    pids: () => new Map([...children].map(([name, { pid = 0 }]) => [name, pid])),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const keyOf = (name: string) => name.replaceAll("-", "_").toUpperCase();

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGCONT");
  child.kill("SIGTERM");
  const forced = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await exit;
  clearTimeout(forced);
}
