import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Claim } from "../domain/claim.ts";
import { dayAt, days, drawn, history, rules } from "../domain/testing-claims.ts";
import { holdersByLoop } from "../domain/testing-model.ts";
import { asked, predicates, storable } from "./fact-store.contract.ts";
import type { FactStore } from "./fact-store.ts";
import { postgresFactStore } from "./postgres-facts.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);
const instants = Array.from({ length: days + 8 }, (_, i) => dayAt(i).getTime());
const runs = { numRuns: 8 };

/** What tables say, at every instant and as of every recorded time, beside plain loops over the claims. */
describeOn("the tables of facts", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let store: FactStore;
  beforeAll(async () => {
    opened = await backend.open();
    store = postgresFactStore(opened.sql);
    // The n-th write to a table fails, whichever it is: sequences go on when a transaction is rolled back.
    await opened.owner`create sequence writes`;
    await opened.owner`create table cut_at (write bigint)`;
    await opened.owner.unsafe(`
      create function cut() returns trigger language plpgsql security definer
        set search_path from current as $$
      begin
        if nextval('writes') = (select write from cut_at) then raise exception 'the writer died'; end if;
        return coalesce(new, old);
      end $$`);
    for (const table of ["claims", "fact_versions", "predicate_uses", "groups"])
      await opened.owner.unsafe(`
        create trigger cut before insert or update or delete on ${table}
        for each row execute function cut()`);
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const tenant = async () => {
    const acme = newId();
    await store.setPredicates(acme, predicates);
    return acme;
  };

  async function add(acme: string, { groupId, ...claim }: Claim, on = store) {
    const added = await on.addClaims(acme, groupId, [claim], undefined);
    if (added.kind !== "stored") throw new Error(JSON.stringify(added));
    return added.claims;
  }

  async function expectAsLooped(acme: string, claims: readonly Claim[]) {
    for (const group of ["g", "h"]) {
      const own = claims.filter(({ groupId }) => groupId === group);
      for (const recordedAt of [undefined, ...own.map((claim) => claim.recordedAt)]) {
        const { facts } = await store.facts(acme, asked({ groupIds: [group], recordedAt }));
        const holders = instants.map((instant) =>
          facts
            .filter(({ disputed, from, to }) => !disputed && from <= instant && instant < to)
            .map(({ subject, predicate, value }) =>
              [subject, predicate, value.kind === "entity" ? value.id : ""].join(" "),
            )
            .toSorted(),
        );
        const at = recordedAt?.getTime() ?? Infinity;
        expect(holders).toEqual(instants.map((instant) => holdersByLoop(own, rules, at, instant)));
      }
    }
  }

  it("are after a rebuild what the claims say, whatever had become of them (P13)", async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.nat({ max: 3 }), async (drawings, nth) => {
        const acme = await tenant();
        const claims: Claim[] = [];
        for (const claim of storable(drawings)) claims.push(...(await add(acme, claim)));
        await expectAsLooped(acme, claims);
        await opened.owner`delete from fact_versions where tenant_id = ${acme} and number % 4 = ${nth}`;
        await opened.owner`
          update fact_versions set subject = 'mallory'
          where tenant_id = ${acme} and number % 4 = ${(nth + 1) % 4}`;
        for (const group of ["g", "h"]) await store.rebuild(acme, group);
        await expectAsLooped(acme, claims);
      }),
      runs,
    );
  }, 120_000);

  it("are what the claims say when writers die at any write and try again (P14)", async () => {
    const dies = fc.array(fc.option(fc.integer({ min: 1, max: 6 })), { minLength: 12 });
    let died = 0;
    await fc.assert(
      fc.asyncProperty(history, dies, async (drawings, cuts) => {
        const acme = await tenant();
        const claims: Claim[] = [];
        for (const [i, claim] of storable(drawings).entries()) {
          const write = cuts[i] ?? null;
          await opened.owner`alter sequence writes restart`;
          await opened.owner`insert into cut_at values (${write})`;
          await add(acme, claim).catch((error: unknown) => {
            if (!String(error).includes("the writer died")) throw error;
            died++;
          });
          await opened.owner`delete from cut_at`;
          claims.push(...(await add(acme, claim)));
        }
        await expectAsLooped(acme, claims);
      }),
      runs,
    );
    expect(died).toBeGreaterThan(0);
  }, 120_000);

  it("are what the claims say in the order in which workers got to store them at once (P15)", async () => {
    const crowded = fc.array(
      drawn.map((one) => ({ ...one, group: "g" as const, target: undefined })),
      { maxLength: 12, size: "max" },
    );
    const workers = [store, postgresFactStore(opened.sql)];
    await fc.assert(
      fc.asyncProperty(crowded, async (drawings) => {
        const acme = await tenant();
        const added = await Promise.all(
          storable(drawings).map((claim, i) => add(acme, claim, workers[i % workers.length])),
        );
        const claims = added.flat();
        // Some serial order: each has a recorded time of its own.
        expect(new Set(claims.map(({ recordedAt }) => recordedAt.getTime())).size).toBe(
          claims.length,
        );
        await expectAsLooped(acme, claims);
      }),
      runs,
    );
  }, 120_000);
});
