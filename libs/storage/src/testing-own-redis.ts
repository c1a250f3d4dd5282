import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { Redis } from "ioredis";
import type { Backend } from "./testing.ts";

/** A server that nobody else uses: to fill it, to empty it, to stop it. */
export interface OwnRedis {
  readonly url: string;
  /** As an operator, past everything that stands between Soldier and the server. */
  readonly operator: Redis;
  /** Refuses every write from now on, as one without memory does; false: takes them again. */
  full(isFull: boolean): Promise<void>;
}

/** Started with the program redis-server if this machine has it, else in Docker. */
export async function ownRedis(): Promise<Backend<OwnRedis>> {
  const missing = await missingForOwnRedis();
  return {
    name: "a Redis of its own",
    missing,
    async open() {
      await using opened = new AsyncDisposableStack();
      const url = isInstalled() ? await startProgram(opened) : await startContainer(opened);
      const operator = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: 200 });
      opened.defer(() => operator.disconnect());
      operator.on("error", () => {}); // not up yet: it tries again
      await operator.ping();
      const closing = opened.move();
      return {
        url,
        operator,
        async full(isFull) {
          await operator.config("SET", "maxmemory", isFull ? "1" : "0");
        },
        [Symbol.asyncDispose]: () => closing.disposeAsync(),
      };
    },
  };
}

const keepNothing = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"];

function isInstalled(): boolean {
  return spawnSync("redis-server", ["--version"]).status === 0;
}

async function missingForOwnRedis(): Promise<string | undefined> {
  if (isInstalled()) return undefined;
  try {
    const { getContainerRuntimeClient } = await import("testcontainers");
    await getContainerRuntimeClient();
    return undefined;
  } catch {
    return "the program redis-server is not installed and no Docker engine answers";
  }
}

async function startProgram(opened: AsyncDisposableStack): Promise<string> {
  const port = await freePort();
  const address = ["--bind", "127.0.0.1", "--port", String(port)];
  const server = spawn("redis-server", [...address, ...keepNothing], { stdio: "ignore" });
  opened.defer(async () => {
    const over = once(server, "exit");
    server.kill("SIGKILL");
    await over;
  });
  return `redis://127.0.0.1:${port}`;
}

async function startContainer(opened: AsyncDisposableStack): Promise<string> {
  const { GenericContainer, Wait } = await import("testcontainers");
  const container = await new GenericContainer("redis:7-alpine")
    .withExposedPorts(6379)
    .withCommand(["redis-server", ...keepNothing])
    .withWaitStrategy(Wait.forListeningPorts())
    .start();
  opened.defer(async () => {
    await container.stop();
  });
  return `redis://${container.getHost()}:${container.getMappedPort(6379)}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  return address.port;
}
