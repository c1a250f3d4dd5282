import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type OwnSchema } from "./migrate.ts";
import { migrateSchemas } from "./migrate-schemas.ts";
import type { OptionalPart } from "./optional-parts.ts";
import { openPostgres } from "./postgres.ts";
import { describeOn, testPostgres, type TestPostgres } from "./testing.ts";

// Every database has the extension plpgsql, and none of them a newer version than 1.0.
describeOn("a part of a schema that needs an extension", testPostgres(), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  let folder: string;
  const lines: string[] = [];

  beforeEach(async () => {
    place = await backend.open();
    folder = await mkdtemp(join(tmpdir(), "soldier-optional-"));
    await writeFile(join(folder, "0001_a.sql"), "create table a ()");
  });
  afterEach(async () => {
    await place[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  async function own(over: Partial<OptionalPart>): Promise<OwnSchema> {
    const needed = await mkdtemp(join(folder, "needed-"));
    await writeFile(join(needed, "part_0001.sql"), "create table of_the_part ()");
    const part = {
      extension: "plpgsql",
      version: "1.0",
      migrations: pathToFileURL(needed),
      ...over,
    };
    return { schema: place.schema, migrations: [pathToFileURL(folder)], optional: [part] };
  }

  async function run(schema: OwnSchema, mode: "apply" | "dry-run" | "status") {
    lines.length = 0;
    const tell = (line: string) => void lines.push(line.slice(schema.schema.length + 1));
    return await migrateSchemas({ settings: place.settings, schemas: [schema], mode, tell });
  }

  const there = async () =>
    (await place.owner`select to_regclass('of_the_part') is not null as there`)[0]?.["there"];

  it("is applied where the database has it, and shown like the rest", async () => {
    const schema = await own({});
    expect(await run(schema, "dry-run")).toBe(false);
    expect(lines).toEqual(["0001_a.sql: would be applied", "part_0001.sql: would be applied"]);
    expect(await run(schema, "apply")).toBe(true);
    expect(lines).toEqual(["0001_a.sql: applied now", "part_0001.sql: applied now"]);
    expect(await run(schema, "status")).toBe(true);
    expect(lines).toEqual(["0001_a.sql: applied", "part_0001.sql: applied"]);
    expect(await there()).toBe(true);
  });

  it("is left out where the server does not know the extension, and nothing is missing then", async () => {
    const schema = await own({ extension: "no_such_extension" });
    expect(await run(schema, "apply")).toBe(true);
    const why = "no_such_extension: left out: this server has no extension no_such_extension";
    expect(lines).toContain(why);
    expect(await run(schema, "status")).toBe(true);
    expect(lines).toEqual(["0001_a.sql: applied", why]);
    expect(await there()).toBe(false);
  });

  it("waits for a newer version, and is applied later", async () => {
    const schema = await own({ version: "99.0" });
    await run(schema, "apply");
    expect(lines.join()).toContain('have an administrator run "alter extension plpgsql update"');
    expect(await there()).toBe(false);
    const [part] = schema.optional ?? [];
    if (!part) throw new Error("no part");
    await run({ ...schema, optional: [{ ...part, version: "0.9.5" }] }, "apply");
    expect(lines).toContain("part_0001.sql: applied now");
    // A database that has lost it keeps the files: they are known, and no newer release's.
    await run(schema, "status");
    expect(lines.join()).not.toContain("newer");
  });

  it("is applied by a service that migrates when it starts", async () => {
    await using opened = new AsyncDisposableStack();
    await openPostgres({ ...(await own({})), settings: place.settings, opened });
    expect(await there()).toBe(true);
  });
});
