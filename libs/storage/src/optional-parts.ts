import type { Log } from "@soldier/kernel/log";
import type { Sql } from "postgres";
import { migrate, type MigrationStatus, migrationStatus } from "./migrate.ts";

/** Migrations for servers that have an extension; a service does without them elsewhere. */
export interface OptionalPart {
  readonly extension: string;
  /** The oldest that will do, such as 0.8.0. */
  readonly version: string;
  readonly migrations: URL;
}

export interface OptionalSchema {
  readonly schema: string;
  readonly optional?: readonly OptionalPart[];
}

interface Standing {
  readonly installed: string | null;
  readonly enough: boolean;
}

/**
 * Why the part is not for this database, as an operator may change it; undefined when it is. Whoever makes the
 * extension wants the part: nobody else does, since filling it takes minutes for each million of rows.
 */
export async function leftOut(sql: Sql, { extension, version }: OptionalPart) {
  const [found] = await sql<Standing[]>`
    select installed_version as installed,
      string_to_array(regexp_replace(installed_version, '[^0-9.].*', ''), '.')::int[]
        >= string_to_array(${version}, '.')::int[] as enough
    from pg_available_extensions where name = ${extension}`;
  if (!found) return `this server has no extension ${extension}`;
  if (found.installed === null)
    return `the server has the extension ${extension}: to use it, have an administrator run "create extension ${extension}" in this database, and migrate again`;
  if (!found.enough)
    return `the extension ${extension} is ${found.installed} and must be ${version}: have an administrator run "alter extension ${extension} update", and migrate again`;
  return undefined;
}

/** How each file stands of those parts that are for this database, and why others are not. */
export async function optionalStatus(sql: Sql, { schema, optional = [] }: OptionalSchema) {
  const files: MigrationStatus[] = [];
  const without: { readonly extension: string; readonly why: string }[] = [];
  for (const part of optional) {
    const why = await leftOut(sql, part);
    if (why !== undefined) without.push({ extension: part.extension, why });
    else {
      const status = await migrationStatus(sql, { schema, migrations: [part.migrations] });
      files.push(...status.filter(({ state }) => state !== "newer"));
    }
  }
  return { files, without };
}

/** Applies what is missing of the parts that are for this database, as migrate() does. */
export async function migrateOptional(
  options: OptionalSchema & {
    readonly sql: Sql;
    readonly log: Log;
    readonly applied?: (name: string) => void;
  },
): Promise<void> {
  const { sql, schema, optional = [], log, applied } = options;
  for (const part of optional) {
    const why = await leftOut(sql, part);
    if (why !== undefined) log.info({ schema, extension: part.extension, why }, "doing without");
    else
      await migrate({ sql, schema, folders: [part.migrations], log, ...(applied && { applied }) });
  }
}
