import type { Client } from "@connectrpc/connect";
import type { Identity } from "@soldier/chassis/identity";
import { runForTest, testIdentity } from "@soldier/chassis/testing";
import { type Event, messageOf } from "@soldier/events/event";
import { testEvents } from "@soldier/events/testing";
import { auditRecordedTopic, configPublishedTopic } from "@soldier/events/topics";
import { Fault } from "@soldier/kernel/fault";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import type { AuditRecorded, ConfigPublished } from "@soldier/proto/events/v1/events";
import type { Backend, TestDatabase } from "@soldier/storage/testing";
import postgres from "postgres";
import { config } from "../service.ts";

export interface ConfigUnderTest extends AsyncDisposable {
  /** Calls for a fresh tenant's operator unless told for whom. */
  as(identity?: Partial<Identity>): Client<typeof ConfigService>;
  /** Every event of the tenant that was ever committed, in order. */
  committed(tenantId: string): Promise<{
    readonly published: readonly ConfigPublished[];
    readonly audited: readonly AuditRecorded[];
  }>;
}

/** The whole service in this process, on a database of its own. */
export async function configUnderTest(
  backend: Backend<TestDatabase>,
  settings: Record<string, Record<string, string | number>> = {},
): Promise<ConfigUnderTest> {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await backend.open());
  const mesh = opened.use(
    await runForTest([config], {
      settings: {
        postgres: { ...database.settings },
        events: { ...testEvents() },
        embedder: { provider: "deterministic" },
        ...settings,
      },
    }),
  );
  const sql = postgres(database.url, { max: 1, connection: { search_path: "config" } });
  opened.defer(() => sql.end());
  const running = opened.move();
  return {
    as: (identity) => mesh.as(testIdentity(identity))(ConfigService),
    async committed(tenantId) {
      const rows = await sql<Event[]>`
        select id, topic, payload, occurred_at as "occurredAt", tenant_id as "tenantId"
        from outbox where tenant_id = ${tenantId} order by seq`;
      const of = (name: string) => rows.filter(({ topic }) => topic === name);
      return {
        published: of(configPublishedTopic.name).map((row) => messageOf(configPublishedTopic, row)),
        audited: of(auditRecordedTopic.name).map((row) => messageOf(auditRecordedTopic, row)),
      };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The Fault that the call fails with. */
export async function faultOf(call: Promise<unknown>): Promise<Fault> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("should have failed");
}
