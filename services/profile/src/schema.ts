import { inboxMigrations } from "@soldier/events/inbox";
import { outboxMigrations } from "@soldier/events/outbox";
import type { OwnSchema } from "@soldier/storage/migrate";

export const ownSchema: OwnSchema = {
  schema: "profile",
  migrations: [new URL("../migrations/", import.meta.url), outboxMigrations, inboxMigrations],
};
