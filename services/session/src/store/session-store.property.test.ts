import { describeOn, testPostgres } from "@soldier/storage/testing";
import { ownRedis } from "@soldier/storage/testing-own-redis";
import fc from "fast-check";
import { afterAll, beforeAll, it } from "vitest";
import type { StoreUnderTest } from "./testing/bench.ts";
import { act } from "./testing/acts.ts";
import { Crowd } from "./testing/crowd.ts";
import { migrations, someone } from "./testing/fixtures.ts";
import { postgresUnderTest } from "./testing/postgres-under-test.ts";
import { attempt, MessageWorkers } from "./testing/message-workers.ts";
import { Run } from "./testing/run.ts";
import { inTrouble, twoTierUnderTest } from "./testing/two-tier-under-test.ts";

const redis = await ownRedis();

describeOn("sessions", testPostgres(migrations), (backend) => {
  properties(async () => postgresUnderTest(await backend.open()), 1);
});

describeOn("sessions behind a Redis in trouble", redis, (own) => {
  const [backend] = testPostgres(migrations);
  if (!backend) throw new Error("the embedded PostgreSQL is always there");
  properties(
    async () => inTrouble(await twoTierUnderTest(await backend.open(), await own.open())),
    0.5,
  );
});

/** Each with so many of its usual runs. */
function properties(open: () => Promise<StoreUnderTest>, share: number): void {
  let under: StoreUnderTest;
  beforeAll(async () => {
    under = await open();
  });
  afterAll(() => under[Symbol.asyncDispose]());

  it("do what the model does, however workers begin, crash, retry and commit", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40 }), async (acts) => {
        const run = new Run(under, someone());
        for (const one of acts) await run.do(one);
        await run.settle();
      }),
      { numRuns: 120 * share },
    );
  }, 60_000);

  it("never let a tool run twice for one message, however workers crash, retry and supersede", async () => {
    const attempts = fc.array(attempt, { minLength: 2, maxLength: 5 });
    const scripts = fc.array(attempts, { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(scripts, async (workers) => {
        const crowd = new MessageWorkers(under, someone());
        await crowd.open();
        await Promise.all(
          workers.map(async (each) => {
            for (const one of each) await crowd.work(one);
          }),
        );
        await crowd.settle();
      }),
      { numRuns: 100 * share },
    );
  }, 60_000);

  it("number turns without gap or repeat, once per key, with workers at the same time", async () => {
    const script = fc.array(act, { minLength: 3, maxLength: 10 });
    const scripts = fc.array(script, { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(scripts, async (workers) => {
        const viewer = someone();
        const crowd = new Crowd(under, viewer);
        await crowd.open();
        await Promise.all(workers.map((acts) => crowd.work(acts)));
        await crowd.settle();
      }),
      { numRuns: 40 * share },
    );
  }, 60_000);
}
