import { inboxMigrations } from "@soldier/events/inbox";
import type { OwnSchema } from "@soldier/storage/migrate";

export const ownSchema: OwnSchema = {
  schema: "memory",
  migrations: [new URL("../migrations/", import.meta.url), inboxMigrations],
  optional: [
    {
      extension: "vector",
      version: "0.8.0", // the first whose scans go on until enough rows have passed the filters
      migrations: new URL("../migrations/pgvector/", import.meta.url),
    },
  ],
};
