import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { asked, factStoreContract, newClaim, predicates } from "./fact-store.contract.ts";
import type { FactStore } from "./fact-store.ts";
import { postgresFactStore } from "./postgres-facts.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

describeOn("the fact store", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let store: FactStore;
  beforeAll(async () => {
    opened = await backend.open();
    store = postgresFactStore(opened.sql);
  });
  afterAll(() => opened[Symbol.asyncDispose]());
  factStoreContract(() => store);

  it("has the same facts after a crash in the middle and another try as without (P14)", async () => {
    const { owner: sql } = opened;
    const [acme, globex] = [newId(), newId()];
    for (const tenantId of [acme, globex]) {
      await store.setPredicates(tenantId, predicates);
      await store.addClaims(tenantId, "g", [newClaim("paris", { id: "1" })], undefined);
    }
    const next = [newClaim("rome", { id: "2", validFrom: new Date("2022-01-01") })];
    // Another one that holds what the write comes to last, so that it stands still half done.
    const held = await sql.reserve();
    const [holder] = await held<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await held`begin`;
    await held`select from fact_versions where tenant_id = ${acme} for update`;
    const cut = store.addClaims(acme, "g", next, undefined).catch((error: unknown) => error);
    try {
      await vi.waitFor(async () => {
        const ended = await held`
          select pg_terminate_backend(pid) from (select distinct pid from pg_locks) as waiting
          where ${holder?.pid ?? 0} = any(pg_blocking_pids(pid))`;
        if (ended.count === 0) throw new Error("it does not wait yet");
      });
    } finally {
      await held`rollback`;
      held.release();
    }
    expect(await cut).toBeInstanceOf(Error);
    const at = async (tenantId: string) =>
      (await store.facts(tenantId, asked())).facts.map(({ value, from, to }) => [value, from, to]);
    expect(await at(acme)).toHaveLength(1);
    for (const tenantId of [acme, globex]) await store.addClaims(tenantId, "g", next, undefined);
    expect(await at(acme)).toEqual(await at(globex));
    expect(await store.rebuild(acme, "g")).toBe(0);
  });

  it("lets two workers on one slot come to what some order of them would (P15)", async () => {
    const other = postgresFactStore(opened.sql);
    const acme = newId();
    await store.setPredicates(acme, predicates);
    const years = Array.from({ length: 20 }, (_, i) => 2000 + i);
    await Promise.all(
      years.map((year, i) =>
        (i % 2 === 0 ? store : other).addClaims(
          acme,
          "g",
          [newClaim(`city ${year}`, { validFrom: new Date(Date.UTC(year, 0, 1)) })],
          undefined,
        ),
      ),
    );
    const { facts } = await store.facts(acme, asked());
    expect(facts.map(({ value }) => value)).toEqual(
      years.map((year) => ({ kind: "entity", id: `city ${year}` })),
    );
    expect(facts.map(({ to }) => to)).toEqual([
      ...facts.slice(1).map(({ from }) => from),
      Infinity,
    ]);
    expect(await store.rebuild(acme, "g")).toBe(0);
  });

  it("finds and mends what was written past it", async () => {
    const acme = newId();
    await store.addClaims(acme, "g", [newClaim("paris")], undefined);
    await opened.owner`update fact_versions set subject = 'mallory' where tenant_id = ${acme}`;
    expect(await store.rebuild(acme, "g")).toBe(2); // one that should not be, one that was not
    const { facts } = await store.facts(acme, asked({ subject: "alice" }));
    expect(facts).toHaveLength(1);
    expect(await store.rebuild(acme, "g")).toBe(0);
  });

  it("is held by the database to one holder of a slot, and to claims that never change", async () => {
    const { owner: sql } = opened;
    const acme = newId();
    await store.setPredicates(acme, predicates);
    await store.addClaims(acme, "g", [newClaim("paris")], undefined);
    const twice = sql`
      insert into fact_versions (
        tenant_id, group_id, fact_id, slot, subject, predicate, value, value_key, valid, tx,
        claim_ids, disputed, authority, confirmed_at
      )
      select tenant_id, group_id, gen_random_uuid(), slot, subject, predicate, value, value_key,
        tstzrange('2030-01-01', null), tx, claim_ids, disputed, authority, confirmed_at
      from fact_versions where tenant_id = ${acme}`;
    await expect(twice).rejects.toThrow("one_holder");
    const rewrite = sql`update claims set confidence = 0.5 where tenant_id = ${acme}`;
    await expect(rewrite).rejects.toThrow("never updated");
  });
});
