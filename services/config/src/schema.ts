import { outboxMigrations } from "@soldier/events/outbox";
import type { OwnSchema } from "@soldier/storage/migrate";

export const ownSchema: OwnSchema = {
  schema: "config",
  migrations: [new URL("../migrations/", import.meta.url), outboxMigrations],
};
