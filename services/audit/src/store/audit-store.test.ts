import { create } from "@bufbuild/protobuf";
import { inboxMigrations } from "@soldier/events/inbox";
import { systemClock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { tenantSql } from "@soldier/storage/tenant";
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

  it("cannot be changed, neither by its own service nor by the owner of its tables", async () => {
    await using opened = await backend.open();
    const { sql, owner } = opened;
    const record = create(TurnRecordSchema, { turnId: newId() });
    const event = { id: newId(), topic: "turn.committed", tenantId: "acme" };
    const now = new Date();
    const whole = { ...event, payload: Uint8Array.of(), occurredAt: now };
    await storeOn(sql).addTurnRecord(whole, record, now, now);
    const changes = (as: Sql, table: string) => [
      as`update ${as(table)} set recorded_at = now()`,
      as`delete from ${as(table)}`,
      as`truncate ${as(table)}`,
    ];
    for (const table of ["turn_records", "audit_events"]) {
      for (const change of changes(tenantSql(sql, "acme"), table))
        await expect(change).rejects.toThrow(`permission denied for table ${table}`);
      for (const change of changes(owner, table))
        await expect(change).rejects.toThrow(`${table} is append-only`);
    }
    expect(await owner`select from turn_records`).toHaveLength(1);
  });
});
