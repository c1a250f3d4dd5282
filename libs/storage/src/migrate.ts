import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import type { ISql, Sql, TransactionSql } from "postgres";
import { roleOf } from "./role.ts";

/** One .sql file. Its name is its identity; it never changes once it was applied anywhere. */
interface Migration {
  readonly name: string;
  readonly text: string;
  /** SHA-256 of the text, with line ends as \n so that a checkout on Windows is no drift. */
  readonly checksum: string;
}

export interface MigrateOptions {
  readonly sql: Sql;
  readonly schema: string;
  /** Applied folder by folder; within one by file name. Names are unique over all of them. */
  readonly folders: readonly URL[];
  readonly log?: Log;
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
    select to_regclass(${`${schema}.schema_migrations`}) is not null
      and has_schema_privilege(${role}, to_regnamespace(${schema}), 'usage') as ready`;
  if (!found?.ready) await inTurn(sql, schema, (tx) => prepare(tx, schema));
  const applied = await recorded(sql, schema);
  for (const migration of migrations) {
    if (applied.has(migration.name)) refuseDrift(schema, migration, applied.get(migration.name));
    else await inTurn(sql, schema, (tx) => apply(tx, schema, migration, log));
  }
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

/** Runs the work in one transaction, with at most one such per schema in the whole database. */
async function inTurn(
  sql: Sql,
  schema: string,
  work: (tx: TransactionSql) => Promise<unknown>,
): Promise<void> {
  await sql.begin(async (tx) => {
    // Row-level security binds a table's owner too: a migration is for the rows of every tenant.
    await tx`select set_config('lock_timeout', ${String(turnTimeoutMs)}, true),
                    set_config('statement_timeout', '0', true),
                    set_config('soldier.tenant', '*', true)`;
    await tx`select pg_advisory_xact_lock(hashtextextended(${`soldier migrations of ${schema}`}, 0))`;
    await work(tx);
  });
}

async function prepare(tx: ISql, schema: string): Promise<void> {
  await tx`create schema if not exists ${tx(schema)}`;
  await tx`grant usage on schema ${tx(schema)} to ${tx(roleOf(schema))}`;
  await tx`
    create table if not exists ${tx(schema)}.schema_migrations (
      name       text primary key,
      checksum   text not null,
      applied_at timestamptz not null default now()
    )`;
}

async function apply(tx: ISql, schema: string, migration: Migration, log: Log): Promise<void> {
  // Someone else may have applied it while this process waited for its turn.
  const applied = await recorded(tx, schema);
  if (applied.has(migration.name))
    return refuseDrift(schema, migration, applied.get(migration.name));
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
  log.info({ schema, migration: migration.name }, "migrated");
}

async function recorded(sql: ISql, schema: string): Promise<ReadonlyMap<string, string>> {
  const rows = await sql<{ name: string; checksum: string }[]>`
    select name, checksum from ${sql(schema)}.schema_migrations`;
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function refuseDrift(schema: string, { name, checksum }: Migration, was: string | undefined) {
  if (was === checksum) return;
  throw new Fault(
    "precondition",
    `migration ${name} was applied to schema ${schema} with another content; restore the file and put the change into a new one`,
    { reason: "MIGRATION_DRIFT" },
  );
}
