import { describeOn, testPostgres } from "@soldier/storage/testing";
import { postgresUnderTest } from "./testing/postgres-under-test.ts";
import { sessionStoreContract } from "./session-store.contract.ts";
import { migrations } from "./testing/fixtures.ts";

describeOn("the session store", testPostgres(migrations), (backend) => {
  sessionStoreContract(async () => postgresUnderTest(await backend.open()));
});
