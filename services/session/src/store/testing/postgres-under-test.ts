import { create } from "@bufbuild/protobuf";
import { SessionStateSchema } from "@soldier/proto/session/v1/session";
import { openPostgres } from "@soldier/storage/postgres";
import type { TestPostgres } from "@soldier/storage/testing";
import { stateBytes } from "../../domain/session.ts";
import { postgresSessionStore } from "../postgres.ts";
import type { StoreUnderTest } from "./bench.ts";
import type { SessionStore } from "../session-store.ts";
import { migrations } from "./fixtures.ts";

/** How many. */
export const replicas = 6;

/**
 * The PostgreSQL store for the suites, or what stands before it, as several replicas of the service would use it: each call
 * goes to the next one's connection, since the driver would send what comes at once down the same.
 */
export async function postgresUnderTest(
  backend: TestPostgres & AsyncDisposable,
  behind: (store: SessionStore, opened: AsyncDisposableStack) => Promise<SessionStore> = async (
    store,
  ) => store,
): Promise<StoreUnderTest> {
  await using opened = new AsyncDisposableStack();
  const { owner, schema, settings } = opened.use(backend);
  const stores: SessionStore[] = [];
  for (let i = 0; i < replicas; i++) {
    const one = { ...settings, max_connections: 1 };
    const connection = await openPostgres({ settings: one, schema, migrations, opened });
    stores.push(await behind(postgresSessionStore(connection), opened));
  }
  const closing = opened.move();
  return {
    store: inTurns(stores),
    async runOut(tenantId, sessionId) {
      await owner`
        update sessions set lease_expires_at = clock_timestamp() - interval '1 second'
        where tenant_id = ${tenantId} and id = ${sessionId} and lease_turn_id is not null`;
    },
    async emptied(tenantId) {
      const nothing = stateBytes(create(SessionStateSchema));
      await owner`update sessions set state = ${nothing} where tenant_id = ${tenantId}`;
      await owner`delete from turns where tenant_id = ${tenantId}`;
    },
    async usedBefore(tenantId, days) {
      await owner`update usage set day = day - ${days}::int where tenant_id = ${tenantId}`;
    },
    async daysCounted(tenantId) {
      const rows = await owner<{ ago: number }[]>`
        select distinct (now() at time zone 'utc')::date - day as ago from usage
        where tenant_id = ${tenantId} order by ago desc`;
      return rows.map(({ ago }) => ago);
    },
    async published(tenantId) {
      await owner`update outbox set published_at = now() where tenant_id = ${tenantId}`;
    },
    told: (tenantId) => owner<{ topic: string; payload: Uint8Array }[]>`
      select topic, payload from outbox where tenant_id = ${tenantId} order by seq`,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function inTurns(stores: readonly SessionStore[]): SessionStore {
  let calls = 0;
  const next = () => {
    const store = stores[calls++ % stores.length];
    if (!store) throw new Error("no stores");
    return store;
  };
  return {
    begin: (...args) => next().begin(...args),
    renew: (...args) => next().renew(...args),
    commit: (...args) => next().commit(...args),
    abort: (...args) => next().abort(...args),
    beginToolCall: (...args) => next().beginToolCall(...args),
    endToolCall: (...args) => next().endToolCall(...args),
    usageToday: (...args) => next().usageToday(...args),
    get: (...args) => next().get(...args),
    list: (...args) => next().list(...args),
    turns: (...args) => next().turns(...args),
    change: (...args) => next().change(...args),
    erase: (...args) => next().erase(...args),
  };
}
