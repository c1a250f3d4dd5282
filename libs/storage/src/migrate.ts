import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import type { ISql, Sql, TransactionSql } from "postgres";
import type { OptionalPart } from "./optional-parts.ts";
import { roleOf } from "./role.ts";

/** One .sql file. Its name is its identity; it never changes once it was applied anywhere. */
interface Migration {
  readonly name: string;
  readonly text: string;
  /** SHA-256 of the text, with line ends as \n so that a checkout on Windows is no drift. */
  readonly checksum: string;
}

/** What a service owns in PostgreSQL. */
export interface OwnSchema {
  readonly schema: string;
  /** Folders of .sql files, applied folder by folder; within one by file name. Names are unique over all of them. */
  readonly migrations: readonly URL[];
  /** What is applied after these where the server has what it needs. */
  readonly optional?: readonly OptionalPart[];
}

export interface MigrateOptions {
  readonly sql: Sql;
  readonly schema: string;
  /** See OwnSchema. */
  readonly folders: readonly URL[];
  readonly log?: Log;
  /** Told of each file that this process has applied. */
  readonly applied?: (name: string) => void;
}

/**
 * How a file and the database stand to each other: applied, missing there, applied with another content,
 * or of a newer release, whose files we don't have.
 */
export type MigrationState = "applied" | "missing" | "changed" | "newer";

export interface MigrationStatus {
  readonly name: string;
  readonly state: MigrationState;
}

/** How long to wait for another process that is migrating the same schema, in milliseconds. */
const turnTimeoutMs = 120_000;

/**
 * Brings the schema up to date: makes it when absent, lets its role (role.ts) in, and applies each file not yet recorded, one
 * transaction each, forward only. Of many processes that start together each file is applied by
 * one. Throws the Fault "precondition" when an applied file has changed since, and "internal" when
 * a file fails; a failed file leaves nothing behind. Files that only the database knows are from a
 * newer version and left alone.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { sql, schema, folders, log = silentLog } = options;
  const role = roleOf(schema);
  const migrations = await readMigrations(folders);
  const [found] = await sql<{ ready: boolean }[]>`
    select has_schema_privilege(${role}, to_regnamespace(${schema}), 'usage')
      and has_table_privilege(${role}, to_regclass(${`${schema}.schema_migrations`}), 'select') as ready`;
  if (!found?.ready) await inTurn(sql, schema, (tx) => prepare(tx, schema));
  const applied = await recorded(sql, schema);
  for (const migration of migrations) {
    if (applied.has(migration.name)) refuseDrift(schema, migration, applied.get(migration.name));
    else if (await inTurn(sql, schema, (tx) => apply(tx, schema, migration))) {
      log.info({ schema, migration: migration.name }, "migrated");
      options.applied?.(migration.name);
    }
  }
}

/**
 * Each file, in the order of application, then what only the database knows; of optional parts see
 * optionalStatus. Changes nothing.
 */
export async function migrationStatus(
  sql: Sql,
  { schema, migrations: folders, optional = [] }: OwnSchema,
): Promise<readonly MigrationStatus[]> {
  const migrations = await readMigrations(folders);
  const known = await readMigrations([...folders, ...optional.map((part) => part.migrations)]);
  const [found] = await sql<{ there: boolean }[]>`
    select to_regclass(${`${schema}.schema_migrations`}) is not null as there`;
  const applied = found?.there ? await recorded(sql, schema) : new Map<string, string>();
  const ours = migrations.map(({ name, checksum }): MigrationStatus => {
    const was = applied.get(name);
    if (was === undefined) return { name, state: "missing" };
    return { name, state: was === checksum ? "applied" : "changed" };
  });
  const newer = [...applied.keys()]
    .filter((name) => !known.some((one) => one.name === name))
    .map((name): MigrationStatus => ({ name, state: "newer" }));
  return [...ours, ...newer];
}

/** The files' names, in the order of application. */
export async function migrationNames({ migrations }: OwnSchema): Promise<readonly string[]> {
  return (await readMigrations(migrations)).map(({ name }) => name);
}

async function readMigrations(folders: readonly URL[]): Promise<readonly Migration[]> {
  const all: Migration[] = [];
  for (const folder of folders) {
    const directory = new URL(folder.href.endsWith("/") ? folder.href : `${folder.href}/`);
    const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).toSorted();
    if (names.length === 0)
      throw new Fault("internal", `no .sql files in ${fileURLToPath(directory)}`);
    for (const name of names) {
      if (all.some((other) => other.name === name))
        throw new Fault("internal", `two migrations are named ${name}`);
      const text = (await readFile(new URL(name, directory), "utf8")).replaceAll("\r\n", "\n");
      all.push({ name, text, checksum: createHash("sha256").update(text).digest("hex") });
    }
  }
  return all;
}

/** The work in one transaction, whose answer it gives, with at most one such per schema in the whole database. */
async function inTurn(
  sql: Sql,
  schema: string,
  work: (tx: TransactionSql) => Promise<boolean>,
): Promise<boolean> {
  return await sql.begin(async (tx) => {
    // Row-level security binds a table's owner too: a migration is for the rows of every tenant.
    await tx`select set_config('lock_timeout', ${String(turnTimeoutMs)}, true),
                    set_config('statement_timeout', '0', true),
                    set_config('soldier.tenant', '*', true)`;
    await tx`select pg_advisory_xact_lock(hashtextextended(${`soldier migrations of ${schema}`}, 0))`;
    return await work(tx);
  });
}

async function prepare(tx: ISql, schema: string): Promise<boolean> {
  await tx`create schema if not exists ${tx(schema)}`;
  await tx`grant usage on schema ${tx(schema)} to ${tx(roleOf(schema))}`;
  await tx`
    create table if not exists ${tx(schema)}.schema_migrations (
      name       text primary key,
      checksum   text not null,
      applied_at timestamptz not null default now()
    )`;
  // So that a service that may not migrate sees what is missing.
  await tx`grant select on ${tx(schema)}.schema_migrations to ${tx(roleOf(schema))}`;
  return true;
}

/** False when someone else has applied it while this process waited for its turn. */
async function apply(tx: ISql, schema: string, migration: Migration): Promise<boolean> {
  const applied = await recorded(tx, schema);
  if (applied.has(migration.name)) {
    refuseDrift(schema, migration, applied.get(migration.name));
    return false;
  }
  try {
    await tx.unsafe(migration.text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault("internal", `migration ${migration.name} of ${schema} failed: ${why}`, {
      cause: error,
      reason: "MIGRATION_FAILED",
    });
  }
  await tx`
    insert into ${tx(schema)}.schema_migrations (name, checksum)
    values (${migration.name}, ${migration.checksum})`;
  return true;
}

async function recorded(sql: ISql, schema: string): Promise<ReadonlyMap<string, string>> {
  const rows = await sql<{ name: string; checksum: string }[]>`
    select name, checksum from ${sql(schema)}.schema_migrations`;
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function refuseDrift(schema: string, { name, checksum }: Migration, was: string | undefined) {
  if (was !== checksum) throw drift(schema, name);
}

export function drift(schema: string, name: string): Fault {
  return new Fault(
    "precondition",
    `migration ${name} was applied to schema ${schema} with another content; restore the file and put the change into a new one`,
    { reason: "MIGRATION_DRIFT" },
  );
}
