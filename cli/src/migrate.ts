import { type Document, settingsFor } from "@soldier/chassis/settings";
import { ownSchema as audit } from "@soldier/audit/schema";
import { ownSchema as config } from "@soldier/config/schema";
import { Fault } from "@soldier/kernel/fault";
import { nearest } from "@soldier/kernel/nearest";
import { ownSchema as memory } from "@soldier/memory/schema";
import { ownSchema as profile } from "@soldier/profile/schema";
import { ownSchema as session } from "@soldier/session/schema";
import type { OwnSchema } from "@soldier/storage/migrate";
import { migrateSchemas } from "@soldier/storage/migrate-schemas";
import { postgresSettings } from "@soldier/storage/postgres";

const schemas: Readonly<Record<string, OwnSchema>> = { audit, config, memory, profile, session };

export const migratedNames = Object.keys(schemas);

export interface MigrateFlags {
  readonly service?: readonly string[];
  readonly dryRun?: boolean;
  readonly status?: boolean;
}

/** Resolves to whether every schema asked for is up to date now. Throws a Fault for no such service. */
export async function migrateServices(
  settings: Document,
  { service = migratedNames, dryRun = false, status = false }: MigrateFlags,
  tell: (line: string) => void,
): Promise<boolean> {
  const { postgres } = settingsFor({ settings: { postgres: postgresSettings } }, settings);
  const mode = status ? "status" : dryRun ? "dry-run" : "apply";
  return await migrateSchemas({
    settings: postgres,
    schemas: service.map(schemaNamed),
    mode,
    tell,
  });
}

function schemaNamed(name: string): OwnSchema {
  const found = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
  if (found) return found;
  const meant = nearest(name, migratedNames);
  const hint = meant === undefined ? "" : `did you mean ${meant}? `;
  throw new Fault(
    "not-found",
    `no service with migrations is called "${name}"; ${hint}there are ${migratedNames.join(", ")}`,
    { reason: "SERVICE_UNKNOWN" },
  );
}
