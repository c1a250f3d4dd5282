import { once } from "node:events";
import { connect } from "node:net";
import postgres from "postgres";

/** Where a backend for suites is, or why there is none. */
export type Found = { readonly url: string } | { readonly missing: string };

export interface Backends {
  readonly postgres: Found;
  readonly redis: Found;
  readonly nats: Found;
}

interface Wanted {
  readonly variable: string;
  /** Its usual place. */
  readonly url: string;
  answers(url: string): Promise<boolean>;
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly port: number;
  urlAt(host: string, port: number): string;
}

const wanted: Readonly<Record<keyof Backends, Wanted>> = {
  postgres: {
    variable: "SOLDIER_TEST_POSTGRES",
    url: "postgres://postgres@127.0.0.1:5432/postgres",
    answers: postgresAnswers,
    image: "pgvector/pgvector:pg17",
    environment: { POSTGRES_HOST_AUTH_METHOD: "trust" },
    port: 5432,
    urlAt: (host, port) => `postgres://postgres@${host}:${port}/postgres`,
  },
  redis: {
    variable: "SOLDIER_TEST_REDIS",
    url: "redis://127.0.0.1:6379",
    answers: (url) => says(url, "PING\r\n", /^\+PONG/),
    image: "redis:7-alpine",
    port: 6379,
    urlAt: (host, port) => `redis://${host}:${port}`,
  },
  nats: {
    variable: "SOLDIER_TEST_NATS",
    url: "nats://127.0.0.1:4222",
    answers: (url) => says(url, "", /^INFO .*"jetstream":\s*true/),
    image: "nats:2.10-alpine",
    command: ["-js"],
    port: 4222,
    urlAt: (host, port) => `nats://${host}:${port}`,
  },
};

/**
 * Each backend from its environment variable, else from its usual port on loopback if it answers
 * there, else started in Docker if an engine answers. What was started is stopped by `started`.
 */
export async function discoverBackends(started: AsyncDisposableStack): Promise<Backends> {
  const [postgresFound, redis, nats] = await Promise.all([
    discover(wanted.postgres, started),
    discover(wanted.redis, started),
    discover(wanted.nats, started),
  ]);
  return { postgres: postgresFound, redis, nats };
}

async function discover(backend: Wanted, started: AsyncDisposableStack): Promise<Found> {
  const given = process.env[backend.variable];
  if (given) return { url: given }; // if it doesn't answer, the suites shall say so
  if (await backend.answers(backend.url)) return { url: backend.url };
  const nowhere = `${backend.variable} is not set and ${backend.url} does not answer`;
  try {
    const { getContainerRuntimeClient } = await import("testcontainers");
    await getContainerRuntimeClient();
  } catch {
    return { missing: `${nowhere}, nor does a Docker engine` };
  }
  try {
    return { url: await startContainer(backend, started) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { missing: `${nowhere}, and Docker could not start ${backend.image}: ${why}` };
  }
}

async function startContainer(backend: Wanted, started: AsyncDisposableStack): Promise<string> {
  const { GenericContainer, Wait } = await import("testcontainers");
  const container = await new GenericContainer(backend.image)
    .withExposedPorts(backend.port)
    .withCommand([...(backend.command ?? [])])
    .withEnvironment({ ...backend.environment })
    .withWaitStrategy(Wait.forListeningPorts())
    .withStartupTimeout(120_000)
    .start();
  started.defer(async () => {
    await container.stop();
  });
  const url = backend.urlAt(container.getHost(), container.getMappedPort(backend.port));
  const until = performance.now() + 30_000;
  while (!(await backend.answers(url)))
    if (performance.now() > until) throw new Error("it started, but does not answer");
  return url;
}

async function postgresAnswers(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    await sql`select 1`;
    return true;
  } catch {
    return false; // absent, or not for us: then another place is looked for
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Whether the server's first words, after ours, match; within 2 s. */
async function says(url: string, greeting: string, expected: RegExp): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    const signal = AbortSignal.timeout(2_000);
    await once(socket, "connect", { signal });
    if (greeting) socket.write(greeting);
    const [answer] = await once(socket, "data", { signal });
    return expected.test(String(answer));
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
