import { inboxMigrations } from "@soldier/events/inbox";
import type { OwnSchema } from "@soldier/storage/migrate";

export const ownSchema: OwnSchema = {
  schema: "audit",
  migrations: [new URL("../migrations/", import.meta.url), inboxMigrations],
};
