import { inboxMigrations } from "@soldier/events/inbox";
import type { OwnSchema } from "@soldier/storage/migrate";

export const ownSchema: OwnSchema = {
  schema: "memory",
  migrations: [new URL("../migrations/", import.meta.url), inboxMigrations],
};
