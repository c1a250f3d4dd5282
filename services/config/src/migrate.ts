// Migrates this service's schema and ends: what its init container runs. `soldier migrate` does the same for all.
import { startFailed } from "@soldier/chassis/main";
import { readSettings, settingsFor } from "@soldier/chassis/settings";
import { migrateSchemas } from "@soldier/storage/migrate-schemas";
import { postgresSettings } from "@soldier/storage/postgres";
import { ownSchema } from "./schema.ts";

try {
  const { postgres } = settingsFor({ settings: { postgres: postgresSettings } }, readSettings());
  const tell = (line: string) => void process.stdout.write(`${line}\n`);
  await migrateSchemas({ settings: postgres, schemas: [ownSchema], mode: "apply", tell });
} catch (error) {
  startFailed(error);
}
