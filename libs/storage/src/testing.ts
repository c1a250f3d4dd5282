import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import postgres, { type Sql } from "postgres";
import { describe, inject, it } from "vitest";
import { openPostgres, type PostgresSettings } from "./postgres.ts";
import { roleOf } from "./role.ts";
import { openRedis, type RedisSettings } from "./redis.ts";
import type { Found } from "./testing-discovery.ts";
import type {} from "./testing-setup.ts";

/** One real backend that a suite runs on, or the reason why it can't. */
export interface Backend<T> {
  readonly name: string;
  readonly missing: string | undefined;
  /** A place of its own for each caller, removed when disposed. */
  open(): Promise<T & AsyncDisposable>;
}

export interface TestPostgres {
  /** A pool of 4 on the schema, as the service's role. */
  readonly sql: Sql;
  /** One connection as the login, which owns the schema: to look behind a store, and to prepare. */
  readonly owner: Sql;
  /** An empty schema with the migrations applied. */
  readonly schema: string;
  /** To open a second pool on the same schema, as another process would. */
  readonly settings: PostgresSettings;
}

export interface TestDatabase {
  /** An empty database: for tests of several services, each with its schema. */
  readonly url: string;
  readonly settings: PostgresSettings;
}

export interface TestRedis {
  readonly redis: Redis;
  readonly settings: RedisSettings;
}

export interface TestNats {
  readonly url: string;
}

/**
 * Runs the suite once on each backend. Without a backend it is skipped and its title says why; with
 * CI=true that is a failure.
 */
export function describeOn<T>(
  title: string,
  backends: Backend<T> | readonly Backend<T>[],
  suite: (backend: Backend<T>) => void,
): void {
  for (const backend of [backends].flat()) {
    if (backend.missing === undefined)
      describe(`${title} on ${backend.name}`, () => suite(backend));
    else if (process.env["CI"] === "true")
      it(`${title} on ${backend.name} has its backend`, () => {
        throw new Error(backend.missing);
      });
    else describe.skip(`${title} on ${backend.name} (${backend.missing})`, () => suite(backend));
  }
}

/** The embedded server, always, and an external one. */
export function testPostgres(migrations: readonly URL[] = []): readonly Backend<TestPostgres>[] {
  return testDatabaseServers((url) => openSchema(url, migrations));
}

/** The same servers, for tests that want a whole database. */
export function testDatabase(): readonly Backend<TestDatabase>[] {
  return testDatabaseServers(openDatabase);
}

export function testRedis(): Backend<TestRedis> {
  return external("Redis", inject("backends").redis, async (url) => {
    await using opened = new AsyncDisposableStack();
    const settings = {
      url,
      key_prefix: `${freshName()}:`,
      connect_timeout_ms: 5_000,
      command_timeout_ms: 5_000,
    };
    const redis = await openRedis({ settings, opened });
    opened.defer(() => removeKeys(redis, settings.key_prefix));
    return { redis, settings, ...disposing(opened.move()) };
  });
}

/** A NATS server with JetStream. Streams are the caller's to name freshly and to delete. */
export function testNats(): Backend<TestNats> {
  return external("NATS", inject("backends").nats, async (url) => ({
    url,
    [Symbol.asyncDispose]: async () => {},
  }));
}

function testDatabaseServers<T>(
  open: (url: string) => Promise<T & AsyncDisposable>,
): readonly Backend<T>[] {
  const backends = inject("backends");
  const embedded: Backend<T> = {
    name: "the embedded PostgreSQL",
    missing: undefined,
    open: async () => open(await embeddedUrl(backends.embedded)),
  };
  return [embedded, external("an external PostgreSQL", backends.postgres, open)];
}

function external<T>(
  name: string,
  found: Found,
  open: (url: string) => Promise<T & AsyncDisposable>,
): Backend<T> {
  if ("url" in found) return { name, missing: undefined, open: () => open(found.url) };
  return { name, missing: found.missing, open: () => Promise.reject(new Error(found.missing)) };
}

async function embeddedUrl(starter: string): Promise<string> {
  const response = await fetch(starter, { signal: AbortSignal.timeout(60_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`the embedded PostgreSQL did not start: ${text}`);
  return text;
}

async function openSchema(url: string, migrations: readonly URL[]) {
  await using opened = new AsyncDisposableStack();
  const schema = freshName();
  const settings = settingsOf(url);
  const owner = postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { search_path: `${schema},public` },
  });
  opened.defer(async () => {
    await owner`drop schema if exists ${owner(schema)} cascade`;
    await owner`drop role if exists ${owner(roleOf(schema))}`;
    await owner.end({ timeout: 5 });
  });
  const sql = await openPostgres({ settings, schema, migrations, opened });
  return { sql, owner, schema, settings, ...disposing(opened.move()) };
}

async function openDatabase(serverUrl: string): Promise<TestDatabase & AsyncDisposable> {
  const name = freshName();
  await administer(serverUrl, (sql) => sql`create database ${sql(name)}`);
  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href;
  return {
    url,
    settings: settingsOf(url),
    [Symbol.asyncDispose]: () => administer(serverUrl, (sql) => dropDatabase(sql, name)),
  };
}

async function dropDatabase(sql: Sql, name: string): Promise<void> {
  try {
    await sql`drop database ${sql(name)} with (force)`;
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || error.code !== "42501") throw error;
    // Only a superuser may force out the server's own vacuum; it leaves by itself when it is asked.
    await sql`drop database ${sql(name)}`;
  }
}

async function administer(url: string, work: (sql: Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function removeKeys(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 500 })) {
    // Scanning tells whole keys; the client would put its prefix before them once more.
    const bare = (keys as readonly string[]).map((key) => key.slice(prefix.length));
    if (bare.length > 0) await redis.unlink(...bare);
  }
}

function settingsOf(url: string): PostgresSettings {
  return {
    url,
    max_connections: 4,
    connect_timeout_ms: 10_000,
    statement_timeout_ms: 20_000,
    migrate: "at_start",
  };
}

function disposing(opened: AsyncDisposableStack): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function freshName(): string {
  return `test_${randomBytes(8).toString("hex")}`;
}
