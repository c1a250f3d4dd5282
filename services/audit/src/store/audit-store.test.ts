import { create } from "@bufbuild/protobuf";
import { inboxMigrations } from "@soldier/events/inbox";
import { systemClock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { describeOn, testPostgres } from "@soldier/storage/testing";
import type { Sql } from "postgres";
import { expect, it } from "vitest";
import { auditStoreContract } from "./audit-store.contract.ts";
import { postgresCustomerKeys } from "./customer-keys.ts";
import { postgresAuditStore } from "./postgres.ts";

const migrations = [new URL("../../migrations/", import.meta.url), inboxMigrations];

const storeOn = (sql: Sql) =>
  postgresAuditStore(sql, postgresCustomerKeys(sql, undefined, systemClock));

describeOn("the audit store", testPostgres(migrations), (backend) => {
  auditStoreContract(async () => {
    const opened = await backend.open();
    return {
      store: storeOn(opened.sql),
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  });

  it("cannot be changed, not even by its own service", async () => {
    await using opened = await backend.open();
    const { sql } = opened;
    const record = create(TurnRecordSchema, { turnId: newId() });
    const event = { id: newId(), topic: "turn.committed", tenantId: "acme" };
    const now = new Date();
    const whole = { ...event, payload: Uint8Array.of(), occurredAt: now };
    await storeOn(sql).addTurnRecord(whole, record, now, now);
    for (const table of ["turn_records", "audit_events"])
      for (const change of [
        sql`update ${sql(table)} set recorded_at = now()`,
        sql`delete from ${sql(table)}`,
        sql`truncate ${sql(table)}`,
      ])
        await expect(change).rejects.toThrow(`${table} is append-only`);
    expect(await sql`select from turn_records`).toHaveLength(1);
  });
});
