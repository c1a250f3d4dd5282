import { deadLettersInto } from "@soldier/events/dead-letters";
import { inboxMigrations } from "@soldier/events/inbox";
import { outboxMigrations } from "@soldier/events/outbox";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { masterKey } from "@soldier/kernel/seal";
import { postgresDefinitions } from "./definitions.ts";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { postgresProfileStore } from "./postgres.ts";
import { profileStoreContract } from "./profile-store.contract.ts";

const own = new URL("../../migrations/", import.meta.url);
const master = masterKey("a key of thirty-two characters!!", "test");
const backends = testPostgres([own, outboxMigrations, inboxMigrations]);

describeOn("the profile store", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  beforeAll(async () => {
    opened = await backend.open();
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  profileStoreContract(() => ({
    store: postgresProfileStore(opened.sql, master),
    definitions: postgresDefinitions(opened.sql),
    async dump(tenantId) {
      const tables = ["customers", "identities", "field_claims", "field_versions", "consents"];
      const all = [...tables, "merges", "assets", "erasures"].map(
        (table) => opened.owner<{ row: string }[]>`
          select to_jsonb(t)::text as row from ${opened.owner(table)} t where tenant_id = ${tenantId}`,
      );
      return (await Promise.all(all)).flatMap((rows) => rows.map(({ row }) => row)).join("\n");
    },
    async tear(customerId) {
      await opened.owner`
        update field_claims set sealed = substring(sealed for octet_length(sealed) - 1)
        where customer_id = ${customerId}`;
    },
    async giveUp(tenantId, payload) {
      const event = { id: newId(), topic: "turn.committed", tenantId, payload };
      await deadLettersInto(opened.owner)({
        event: { ...event, occurredAt: new Date() },
        consumer: "profile",
        attempts: 3,
        reason: "a test",
      });
    },
    async givenUp(tenantId) {
      const rows = await opened.owner`
        select from dead_letters where tenant_id = ${tenantId}`;
      return rows.count;
    },
    async announced(tenantId) {
      const rows = await opened.owner<{ topic: string }[]>`
        select topic from outbox where tenant_id = ${tenantId}`;
      return rows.map(({ topic }) => topic);
    },
  }));

  it("reads a customer that is there in one statement", async () => {
    const { sql } = opened;
    const [acme, now] = [newId(), new Date()];
    const store = postgresProfileStore(sql, undefined);
    const { profile } = await store.getOrCreate(acme, Channel.API, "ana", now);
    const sent = countStatements(sql.options);
    await store.getOrCreate(acme, Channel.API, "ana", now);
    expect(sent.count).toBe(1);
    await store.get(acme, profile.id, now);
    expect(sent.count).toBe(2);
  });
});

/** The driver reads this option once for each statement that it sends. */
function countStatements(options: { prepare: boolean }) {
  const sent = { count: 0 };
  Object.defineProperty(options, "prepare", {
    configurable: true,
    get() {
      sent.count++;
      return true;
    },
  });
  return sent;
}
