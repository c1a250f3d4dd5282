import { once } from "node:events";
import { createServer } from "node:net";
import { register } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { storageFault } from "./faults.ts";
import { observed } from "./observed.ts";
import { openPostgres, pingPostgres, postgresSettings } from "./postgres.ts";
import { type Link, openLink } from "./testing-link.ts";
import { tenantSql } from "./tenant.ts";
import { makeNotes } from "./testing-notes.ts";
import { describeOn, testPostgres, type TestPostgres } from "./testing.ts";

describe("opening PostgreSQL", () => {
  const settings = {
    url: "postgres://127.0.0.1:1/nowhere",
    max_connections: 1,
    connect_timeout_ms: 300,
    statement_timeout_ms: 1_000,
    migrate: "at_start" as const,
  };

  it("says in a sentence that nothing listens, and where", async () => {
    await using opened = new AsyncDisposableStack();
    const opening = openPostgres({ settings, schema: "s", migrations: [], opened });
    await expect(opening).rejects.toMatchObject({
      kind: "unavailable",
      reason: "POSTGRES_UNAVAILABLE",
      message: expect.stringMatching(
        /^PostgreSQL at 127\.0\.0\.1:1\/nowhere cannot be used \(.*ECONNREFUSED.*\); start it, or set \[postgres\] url$/,
      ),
    });
  });

  it("gives up on a server that accepts and is silent", async () => {
    await using opened = new AsyncDisposableStack();
    const silent = createServer().listen(0, "127.0.0.1");
    opened.defer(() => void silent.close());
    await once(silent, "listening");
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    const opening = openPostgres({
      settings: { ...settings, url: `postgres://user:secret@127.0.0.1:${port}/x` },
      schema: "s",
      migrations: [],
      opened,
    });
    await expect(opening).rejects.toMatchObject({ kind: "unavailable" });
    await expect(opening).rejects.not.toThrow("secret");
  });

  it("takes no schema name that would need quotes", async () => {
    await using opened = new AsyncDisposableStack();
    const opening = openPostgres({ settings, schema: 'a"b', migrations: [], opened });
    await expect(opening).rejects.toMatchObject({ kind: "invalid" });
  });

  it("takes only settings that can be meant", () => {
    const wrong = { ...settings, url: "mysql://x", max_connections: 0, more: 1 };
    const { error } = postgresSettings.safeParse(wrong);
    const where = (error?.issues ?? []).map(({ path }) => path.join("."));
    expect(where).toEqual(["url", "max_connections", ""]);
  });
});

describeOn("a pool", testPostgres(), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  beforeEach(async () => {
    place = await backend.open();
  });
  afterEach(() => place[Symbol.asyncDispose]());

  /** Ends the server's side of the pool's connections. */
  async function breakConnections(): Promise<void> {
    await place.owner`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = ${`soldier-${place.schema}`}`;
  }

  it("works in its own schema", async () => {
    await place.owner`create table here (n int)`;
    expect(
      await place.sql`select schemaname from pg_tables where tablename = 'here' and schemaname = ${place.schema}`,
    ).toHaveLength(1);
  });

  it("recovers when its connections are lost, in a query and between", async () => {
    const { sql } = place;
    const waiting = sql`select pg_sleep(30)`.catch(storageFault);
    await sql`select 1`;
    await breakConnections();
    expect(await waiting).toMatchObject({ kind: "unavailable" });
    await expect.poll(() => sql`select 2 as two`.catch(() => [])).toEqual([{ two: 2 }]);
    await pingPostgres(sql);
  });

  it.each([
    ["a query runs", "the server", () => breakConnections()],
    ["a query runs", "a closed link", async (link: Link) => link.cut()],
    ["a query runs", "a reset", async (link: Link) => link.cut("reset")],
    ["none runs", "the server", () => breakConnections()],
    ["none runs", "a closed link", async (link: Link) => link.cut()],
    ["none runs", "a reset", async (link: Link) => link.cut("reset")],
  ])("loses a transaction whole when, while %s, it is broken by %s", async (when, _by, breakIt) => {
    await using link = await openLink(place.settings.url);
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, url: link.url, max_connections: 1 };
    const pool = await openPostgres({ settings, schema: place.schema, migrations: [], opened });
    await makeNotes(place);
    const sql = tenantSql(pool, "acme");
    let after: unknown;
    const transaction = sql.begin(async (tx) => {
      await tx`insert into notes values (1)`;
      const running = when === "a query runs" ? tx`select pg_sleep(2)`.catch(storageFault) : 0;
      await expect.poll(isSleeping).toBe(running !== 0);
      await breakIt(link);
      await running;
      link.mend();
      await expect.poll(() => sql`select 1 as one`.catch(() => [])).toEqual([{ one: 1 }]);
      // The driver has connected anew; this must not go there and commit by itself.
      after = await tx`insert into notes values (2)`.catch(storageFault);
    });
    expect(await transaction.catch(storageFault)).toMatchObject({ kind: "unavailable" });
    await expect.poll(() => after, { timeout: 5_000 }).toMatchObject({ kind: "unavailable" });
    expect(await sql`select n from notes`).toEqual([]);
    // And the pool's only connection still does its work, transactions too.
    await sql.begin(async (tx) => await tx`insert into notes values (3)`);
    expect(await sql`select n from notes`).toEqual([{ n: 3 }]);
  });

  async function isSleeping(): Promise<boolean> {
    const rows = await place.owner`
      select from pg_stat_activity
      where application_name = ${`soldier-${place.schema}`} and query like 'select pg_sleep(2)%'
        and state = 'active'`;
    return rows.length > 0;
  }

  it("says while the server hangs that it does not answer, and afterwards that it does", async () => {
    await using link = await openLink(place.settings.url);
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, url: link.url, max_connections: 1 };
    const sql = await openPostgres({ settings, schema: place.schema, migrations: [], opened });
    await pingPostgres(sql);
    link.stall();
    const told = { kind: "unavailable", message: "PostgreSQL does not answer" };
    await expect(Promise.all([pingPostgres(sql), pingPostgres(sql)])).rejects.toMatchObject(told);
    link.mend();
    await pingPostgres(sql);
  });

  it("lets the server end a statement that takes too long, as the Fault of that name", async () => {
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, statement_timeout_ms: 50 };
    const sql = await openPostgres({ settings, schema: place.schema, migrations: [], opened });
    const store = observed("test-store", { sleep: async () => await sql`select pg_sleep(5)` });
    await expect(store.sleep()).rejects.toMatchObject({
      kind: "deadline",
      reason: "STORAGE_TIMEOUT",
    });
  });

  it("counts the statements it sends by schema, those of transactions too", async () => {
    const { sql, schema } = place;
    const count = async () => {
      const metric = await register.getSingleMetric("soldier_sql_statements_total")?.get();
      return metric?.values.find(({ labels }) => labels["schema"] === schema)?.value ?? 0;
    };
    await sql`select 1`;
    const before = await count();
    await sql`select ${1}::int, ${sql("current_schema")} from (select 'x' as current_schema) x`;
    await sql.begin(async (tx) => await tx`select 2`);
    expect((await count()) - before).toBe(4); // one, and one between begin and commit
  });

  it("works on as few connections as it needs, the last used first", async () => {
    const { sql } = place;
    const worker = async () =>
      (await sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]?.pid;
    const all = await Promise.all([worker(), worker(), worker()]);
    expect(new Set(all).size).toBe(3);
    const later = [await worker(), await worker(), await worker()];
    expect(new Set(later).size).toBe(1);
  });

  it("keeps bound values out of what is printed of an error", async () => {
    const error = await place.sql`select ${"my secret"}::int`.catch((caught: unknown) => caught);
    expect(Object.keys(error as object)).not.toContain("parameters");
  });
});
