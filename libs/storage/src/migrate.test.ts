import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { migrate } from "./migrate.ts";
import { openPostgres } from "./postgres.ts";
import { roleOf } from "./role.ts";
import { describeOn, testPostgres, type TestPostgres } from "./testing.ts";

describeOn("migrations", testPostgres(), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  const folders: string[] = [];

  beforeEach(async () => {
    place = await backend.open();
  });
  afterEach(async () => {
    await place[Symbol.asyncDispose]();
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  async function folderOf(files: Record<string, string>): Promise<URL> {
    const folder = await mkdtemp(join(tmpdir(), "soldier-migrations-"));
    folders.push(folder);
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return pathToFileURL(folder);
  }

  const run = (...urls: readonly URL[]) =>
    migrate({ sql: place.owner, schema: place.schema, folders: urls });

  const tables = async () =>
    (
      await place.owner<{ name: string }[]>`
        select tablename as name from pg_tables where schemaname = ${place.schema} order by 1`
    ).map(({ name }) => name);

  it("apply each file once, by name within a folder and folder by folder", async () => {
    const first = await folderOf({
      "0002_b.sql": "insert into steps (what) values ('b'); -- needs 0001",
      "0001_a.sql":
        "create table steps (n serial, what text); insert into steps (what) values ('a')",
    });
    const second = await folderOf({ "0001_c.sql": "insert into steps (what) values ('c')" });
    await run(first, second);
    await run(first, second);
    const rows = await place.owner`select what from steps order by n`;
    expect(rows.map((row) => String(row["what"])).join("")).toBe("abc");
  });

  it("are done by whoever comes first of twenty that start together", async () => {
    const folder = await folderOf({
      "0001.sql":
        "create table runs (n serial); select pg_sleep(0.05); insert into runs default values",
      "0002.sql": "insert into runs default values",
    });
    const schema = `${place.schema}_together`;
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, max_connections: 1 };
    const pools = await Promise.all(
      Array.from({ length: 20 }, () =>
        openPostgres({ settings, schema, migrations: [folder], opened }),
      ),
    );
    expect(pools).toHaveLength(20);
    const { owner } = place;
    const rows = await owner`select count(*)::int as runs from ${owner(schema)}.runs`;
    expect(rows).toEqual([{ runs: 2 }]);
    await owner`drop schema ${owner(schema)} cascade`;
    await owner`drop role ${owner(roleOf(schema))}`;
  });

  it("refuse a file that was changed after it was applied, by its name", async () => {
    await run(await folderOf({ "0001_a.sql": "create table a ()" }));
    const changed = await folderOf({
      "0001_a.sql": "create table a (n int)",
      "0002_b.sql": "create table b ()",
    });
    await expect(run(changed)).rejects.toMatchObject({
      kind: "precondition",
      reason: "MIGRATION_DRIFT",
      message: expect.stringContaining("0001_a.sql"),
    });
    expect(await tables()).toEqual(["a", "schema_migrations"]);
  });

  it("don't take other line ends for a change", async () => {
    await run(await folderOf({ "0001_a.sql": "create table a (\n)" }));
    await run(await folderOf({ "0001_a.sql": "create table a (\r\n)" }));
    expect(await tables()).toContain("a");
  });

  it("leave nothing of a file that fails, and all before it", async () => {
    const broken = { "0001_a.sql": "create table a ()" };
    const failing = run(
      await folderOf({ ...broken, "0002_b.sql": "create table b (); create table b ()" }),
    );
    await expect(failing).rejects.toMatchObject({
      reason: "MIGRATION_FAILED",
      message: expect.stringMatching(/0002_b\.sql.*already exists/),
    });
    expect(await tables()).toEqual(["a", "schema_migrations"]);
    await run(await folderOf({ ...broken, "0002_b.sql": "create table b ()" }));
    expect(await tables()).toContain("b");
  });

  it("leave files alone that only a newer version knows", async () => {
    const old = { "0001_a.sql": "create table a ()" };
    await run(await folderOf({ ...old, "0002_b.sql": "create table b ()" }));
    await run(await folderOf(old));
    expect(await tables()).toEqual(["a", "b", "schema_migrations"]);
  });

  it("refuse two files of one name, and a folder without files", async () => {
    const one = await folderOf({ "0001.sql": "select 1" });
    const other = await folderOf({ "0001.sql": "select 2" });
    await expect(run(one, other)).rejects.toThrow("two migrations are named 0001.sql");
    await expect(run(await folderOf({}))).rejects.toThrow("no .sql files");
  });
});
