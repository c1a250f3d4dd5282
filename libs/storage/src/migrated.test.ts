import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { migrateSchemas } from "./migrate-schemas.ts";
import { openPostgres } from "./postgres.ts";
import { describeOn, type TestDatabase, testDatabase } from "./testing.ts";
import { roleOf } from "./role.ts";
import { randomBytes } from "node:crypto";
import postgres from "postgres";

describeOn("a service that may not migrate", testDatabase(), (backend) => {
  let opened: AsyncDisposableStack;
  let place: TestDatabase;
  let schema: string;
  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    place = opened.use(await backend.open());
    schema = `test_${randomBytes(6).toString("hex")}`;
    const owner = postgres(place.url, { max: 1, onnotice: () => {} });
    opened.defer(async () => {
      await owner`drop schema if exists ${owner(schema)} cascade`;
      await owner`drop role if exists ${owner(roleOf(schema))}`;
      await owner.end();
    });
  });
  afterEach(() => opened.disposeAsync());

  async function ownOf(files: Record<string, string>) {
    const folder = await mkdtemp(join(tmpdir(), "soldier-migrations-"));
    opened.defer(() => rm(folder, { recursive: true }));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return { schema, migrations: [pathToFileURL(folder)] };
  }
  async function run(own: Awaited<ReturnType<typeof ownOf>>, mode: "apply" | "dry-run" | "status") {
    const lines: string[] = [];
    const tell = (line: string) => void lines.push(line.replace(schema, "s").trim());
    const current = await migrateSchemas({ settings: place.settings, schemas: [own], mode, tell });
    return { current, lines };
  }
  function waiting(own: Awaited<ReturnType<typeof ownOf>>) {
    const probes = new Map<string, () => Promise<void>>();
    const pool = openPostgres({
      ...own,
      settings: { ...place.settings, migrate: "wait" },
      opened,
      ready: { check: (name, probe) => void probes.set(name, probe) },
    });
    const said = () =>
      probes
        .get("migrations")?.()
        .then(() => "ready", String) ?? "not yet asked";
    return { pool, said };
  }
  const first = { "0001_a.sql": "create table a (); " };
  const second = { ...first, "0002_b.sql": "create table b ()" };

  it("says what it waits for, and goes on when somebody has migrated", async () => {
    const own = await ownOf(second);
    const { pool, said } = waiting(own);
    const missing = (name: string, more = "") =>
      expect.stringContaining(
        `the schema ${schema} lacks the migration ${name}${more}: run "soldier migrate --service ${schema}"`,
      );
    await expect.poll(said).toEqual(missing("0001_a.sql", " and 1 more"));
    await run(await ownOf(first), "apply");
    await expect.poll(said, { timeout: 5_000 }).toEqual(missing("0002_b.sql"));
    await run(own, "apply");
    const sql = await pool;
    expect(await said()).toBe("ready");
    expect(await sql`select current_user as role`).toEqual([{ role: roleOf(schema) }]);
    expect(await sql`select name from schema_migrations order by name`).toHaveLength(2);
  });

  it("refuses a schema that was made by another file of the same name", async () => {
    await run(await ownOf(first), "apply");
    const { pool } = waiting(await ownOf({ "0001_a.sql": "create table other ()" }));
    await expect(pool).rejects.toMatchObject({ reason: "MIGRATION_DRIFT" });
  });

  it("runs on a schema of a newer release", async () => {
    await run(await ownOf(second), "apply");
    await waiting(await ownOf(first)).pool;
  });

  it("is told by dry run and status how things stand, and nothing is changed by it", async () => {
    const own = await ownOf(second);
    const none = await run(own, "dry-run");
    expect(none).toEqual({
      current: false,
      lines: ["s 0001_a.sql: would be applied", "s 0002_b.sql: would be applied"],
    });
    expect((await run(own, "status")).lines).toEqual([
      "s 0001_a.sql: missing",
      "s 0002_b.sql: missing",
    ]);
    expect((await run(await ownOf(first), "apply")).lines).toEqual(["s 0001_a.sql: applied now"]);
    expect(await run(own, "status")).toEqual({
      current: false,
      lines: ["s 0001_a.sql: applied", "s 0002_b.sql: missing"],
    });
    expect(await run(own, "apply")).toEqual({
      current: true,
      lines: ["s 0002_b.sql: applied now"],
    });
    expect(await run(own, "apply")).toEqual({ current: true, lines: ["s all: up to date"] });
    expect((await run(await ownOf(first), "status")).lines).toEqual([
      "s 0001_a.sql: applied",
      "s 0002_b.sql: newer",
    ]);
    const changed = await ownOf({ "0001_a.sql": "create table other ()" });
    for (const mode of ["apply", "dry-run", "status"] as const)
      await expect(run(changed, mode)).rejects.toMatchObject({ reason: "MIGRATION_DRIFT" });
  });
});
