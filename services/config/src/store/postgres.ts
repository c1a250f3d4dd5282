import type { Sql } from "postgres";
import type { ConfigStore } from "./config-store.ts";
import { postgresDrafts } from "./drafts.ts";
import { postgresValues } from "./values.ts";
import { postgresVersions } from "./versions.ts";

/** Behaviour in PostgreSQL. */
export function postgresConfigStore(sql: Sql): ConfigStore {
  return { ...postgresDrafts(sql), ...postgresVersions(sql), ...postgresValues(sql) };
}
