import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import type { Sql } from "postgres";
import { drift, migrationStatus, type OwnSchema } from "./migrate.ts";
import { storageFault } from "./faults.ts";
import { admitRole } from "./role.ts";

/** Where what is waited for is told; the chassis' Readiness is one. */
export interface Ready {
  check(name: string, probe: () => Promise<void>): void;
}

export interface WaitOptions extends OwnSchema {
  readonly sql: Sql;
  readonly log: Log;
  readonly ready: Ready | undefined;
}

const lookEveryMs = 500;

/**
 * Waits until every file is applied, by somebody else. Meanwhile the check "migrations" fails and names
 * the first that is missing. Throws MIGRATION_DRIFT when one was applied with another content.
 */
export async function untilMigrated({ sql, log, ready, ...own }: WaitOptions): Promise<void> {
  let waitsFor: string | undefined =
    `the migrations of the schema ${own.schema} are being looked at`;
  ready?.check("migrations", async () => {
    if (waitsFor !== undefined) throw new Error(waitsFor);
  });
  for (;;) {
    const now = await missingIn(sql, own);
    if (now !== undefined && now !== waitsFor)
      log.warn({ schema: own.schema, missing: now }, "waiting for migrations");
    waitsFor = now;
    if (now === undefined) return;
    await pause(lookEveryMs);
  }
}

async function missingIn(sql: Sql, own: OwnSchema): Promise<string | undefined> {
  try {
    const status = await migrationStatus(sql, own);
    const changed = status.find(({ state }) => state === "changed");
    if (changed) throw drift(own.schema, changed.name);
    const missing = status.filter(({ state }) => state === "missing");
    const [first] = missing;
    if (!first) return undefined;
    const others = missing.length === 1 ? "" : ` and ${missing.length - 1} more`;
    return `the schema ${own.schema} lacks the migration ${first.name}${others}: run "soldier migrate --service ${own.schema}"`;
  } catch (error) {
    const fault = storageFault(error);
    // The server went away: it may come back.
    if (fault instanceof Fault && fault.kind === "unavailable") return fault.message;
    // The schema is there and not for us: says what an administrator is to grant.
    if (error instanceof Error && "code" in error && error.code === "42501")
      await admitRole(sql, own.schema);
    throw error;
  }
}
