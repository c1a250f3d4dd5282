import { outboxMigrations } from "@soldier/events/outbox";
import { describeOn, testPostgres } from "@soldier/storage/testing";
import { afterAll } from "vitest";
import { configStoreContract } from "./config-store.contract.ts";
import { postgresConfigStore } from "./postgres.ts";

const migrations = [new URL("../../migrations/", import.meta.url), outboxMigrations];

describeOn("the config store", testPostgres(migrations), (backend) => {
  const opened = new AsyncDisposableStack();
  afterAll(() => opened.disposeAsync());

  configStoreContract(async () => {
    const { sql, owner } = opened.use(await backend.open());
    return {
      store: postgresConfigStore(sql),
      async events() {
        const rows = await owner<{ id: string }[]>`select id from outbox order by seq`;
        return rows.map(({ id }) => id);
      },
    };
  });
});
