import { systemClock } from "@soldier/kernel/clock";
import { masterKey } from "@soldier/kernel/seal";
import { describeOn, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ownSchema } from "../schema.ts";
import { type CustomerKeys, postgresCustomerKeys } from "./customer-keys.ts";

describeOn("keys of customers", testPostgres(ownSchema.migrations), (backend) => {
  const opened = new AsyncDisposableStack();
  /** Another process each time: it knows no key yet. */
  let another: (secret: string) => CustomerKeys;
  beforeAll(async () => {
    const { sql } = opened.use(await backend.open());
    another = (secret) => postgresCustomerKeys(sql, masterKey(secret, "a test"), systemClock);
  });
  afterAll(() => opened.disposeAsync());

  it.each([
    ["wrapped", "a secret of the deployment, long enough"],
    ["unwrapped", ""],
  ])("are kept %s without what they were read with", async (customer, secret) => {
    const made = await another(secret).forWriting("acme", customer);
    const keys = another(secret);
    const read = await keys.forReading("acme", customer);
    expect(read).toEqual(new Uint8Array(made ?? []));
    // Thousands are kept, and each piece of what the database has sent keeps all of it.
    expect(read?.buffer.byteLength).toBe(32);
    expect(await keys.forWriting("acme", customer)).toBe(read);
  });
});
