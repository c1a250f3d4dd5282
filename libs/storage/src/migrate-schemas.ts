import { type Log, silentLog } from "@soldier/kernel/log";
import { drift, migrate, migrationStatus, type OwnSchema } from "./migrate.ts";
import { asLogin, type PostgresSettings } from "./postgres.ts";
import { migrateOptional, optionalStatus } from "./optional-parts.ts";
import { admitRole } from "./role.ts";

export interface MigrateSchemasOptions {
  readonly settings: PostgresSettings;
  readonly schemas: readonly OwnSchema[];
  /** "apply" what is missing, only say what would be done, or say how each file stands. */
  readonly mode: "apply" | "dry-run" | "status";
  /** Gets a line for each migration. */
  readonly tell: (line: string) => void;
  readonly log?: Log;
}

/**
 * Brings schemas up to date, one after the other, by the login of the settings. Resolves to whether all of
 * them are up to date now. Throws the Faults of migrate(), also without applying: nobody should hear of a
 * file that was changed only when it is too late.
 */
export async function migrateSchemas(options: MigrateSchemasOptions): Promise<boolean> {
  const { settings, schemas, mode, tell, log = silentLog } = options;
  let current = true;
  for (const own of schemas)
    await asLogin(settings, own.schema, log, async (login) => {
      const line = (name: string, what: string) => tell(`${own.schema.padEnd(8)} ${name}: ${what}`);
      const { files, without } = await optionalStatus(login, own);
      const status = [...(await migrationStatus(login, own)), ...files];
      const missing = status.filter(({ state }) => state === "missing");
      if (mode === "status") for (const { name, state } of status) line(name, state);
      const changed = status.find(({ state }) => state === "changed");
      if (changed) throw drift(own.schema, changed.name);
      if (mode === "apply") {
        await admitRole(login, own.schema);
        const { schema, migrations: folders } = own;
        const applied = (name: string) => line(name, "applied now");
        await migrate({ sql: login, schema, folders, log, applied });
        await migrateOptional({ ...own, sql: login, log, applied });
      } else if (missing.length > 0) current = false;
      if (mode === "dry-run") for (const { name } of missing) line(name, "would be applied");
      for (const { extension, why } of without) line(extension, `left out: ${why}`);
      if (mode !== "status" && missing.length === 0) line("all", "up to date");
    });
  return current;
}
