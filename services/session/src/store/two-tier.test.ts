import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Log } from "@soldier/kernel/log";
import { SessionStateSchema } from "@soldier/proto/session/v1/session";
import { type Backend, describeOn, testPostgres } from "@soldier/storage/testing";
import { cacheUses } from "@soldier/storage/redis-cache";
import { type OwnRedis, ownRedis } from "@soldier/storage/testing-own-redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sessionStoreContract } from "./session-store.contract.ts";
import { began, opened, turnOf } from "./testing/bench.ts";
import { commitOf, inSession, migrations, noon, someone } from "./testing/fixtures.ts";
import { replicas } from "./testing/postgres-under-test.ts";
import {
  inTrouble,
  type TwoTierUnderTest,
  twoTierUnderTest,
} from "./testing/two-tier-under-test.ts";

const redis = await ownRedis();
const later = new Date(noon.getTime() + 1_000);

const [postgres] = testPostgres(migrations);

async function openUnder(own: Backend<OwnRedis>, log?: Log): Promise<TwoTierUnderTest> {
  if (!postgres) throw new Error("the embedded PostgreSQL is always there");
  return twoTierUnderTest(await postgres.open(), await own.open(), log);
}

describeOn("the session store behind Redis", redis, (own) => {
  sessionStoreContract(() => openUnder(own));
});

describeOn("the session store behind a Redis in trouble", redis, (own) => {
  sessionStoreContract(async () => inTrouble(await openUnder(own)));
});

describeOn("what is kept of a session", redis, (own) => {
  const warnings: string[] = [];
  let under: TwoTierUnderTest;
  beforeAll(async () => {
    const log = {
      debug() {},
      info() {},
      error() {},
      warn: (_: object, text: string) => void warnings.push(text),
    };
    under = await openUnder(own, log);
  });
  afterAll(() => under[Symbol.asyncDispose]());

  const keyOf = (tenantId: string, id: string) => `test:session:${tenantId}:${id}`;

  async function outcomes(): Promise<(outcome: string) => number> {
    const { values } = await cacheUses.get();
    return (outcome) => values.find(({ labels }) => labels["outcome"] === outcome)?.value ?? 0;
  }

  /** How often that came out of the work. */
  async function counted(outcome: string, work: () => Promise<unknown>): Promise<number> {
    const before = (await outcomes())(outcome);
    await work();
    return (await outcomes())(outcome) - before;
  }

  /** A session of three turns, all of it kept. */
  async function talked() {
    const viewer = someone();
    const { stored, lease } = await opened(under.store, viewer);
    const { id } = stored.session;
    await under.store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
    for (let i = 0; i < 2; i++) await turnOf(under.store, viewer, id);
    const key = keyOf(viewer.tenantId, id);
    const begin = async () => {
      const begun = began(await under.store.begin(viewer, inSession(id)));
      await under.store.abort(viewer.tenantId, begun.lease);
      return begun;
    };
    // What one replica writes may come after what the next one does, and then counts for nothing.
    await expect.poll(() => counted("hit", begin), { timeout: 5_000 }).toBe(1);
    return { viewer, id, key, begin };
  }

  it("spares PostgreSQL state and history", async () => {
    const { viewer, begin } = await talked();
    await under.emptied(viewer.tenantId);
    expect(await counted("hit", begin)).toBe(1);
    const { stored, history } = await begin();
    expect(stored.session.state?.bundleVersion).toBe(7n);
    expect(history.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it("does not count when the session has moved on, and is made anew", async () => {
    const { viewer, id, begin } = await talked();
    const state = create(SessionStateSchema, { bundleVersion: 12n });
    await under.store.change(viewer, id, (session) => ({
      session: { ...session, version: session.version + 1n, state },
      endsTurn: false,
      events: [],
    }));
    expect(await counted("stale", begin)).toBe(1);
    expect((await begin()).stored.session.state).toEqual(state);
    await expect.poll(() => counted("hit", begin)).toBe(1);
  });

  it("does not count when a database that was restored has given its version to another", async () => {
    const { viewer, id, begin } = await talked();
    const state = create(SessionStateSchema, { bundleVersion: 13n });
    await under.store.change(viewer, id, (session) => {
      const meta = session.meta && { ...session.meta, updatedAt: timestampFromDate(later) };
      return { session: { ...session, ...(meta && { meta }), state }, endsTurn: false, events: [] };
    });
    expect(await counted("stale", begin)).toBe(1);
    expect((await begin()).stored.session.state).toEqual(state);
  });

  it("brings nothing back that was erased while Redis was away and a turn ran", async () => {
    const { viewer, id } = await talked();
    const { stored, lease, history } = began(await under.store.begin(viewer, inSession(id)));
    const turnId = history[0]?.id ?? "";
    under.link.cut();
    const scope = { kind: "text", turnId, reply: false } as const;
    await under.store.erase(viewer.tenantId, { scope, until: undefined, dryRun: false });
    under.link.mend();
    const before = await under.redis.operator.hgetallBuffer(keyOf(viewer.tenantId, id));
    expect(Object.keys(before)).toHaveLength(4); // with what was said
    await under.store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
    for (let i = 0; i < 3; i++) {
      const next = began(await under.store.begin(viewer, inSession(id)));
      expect(next.history.map(({ userText }) => userText === "")).toEqual([
        true,
        false,
        false,
        false,
      ]);
      await under.store.abort(viewer.tenantId, next.lease);
    }
  });

  it("is not what a repeated commit brings, but what was written", async () => {
    const viewer = someone();
    const { stored, lease } = await opened(under.store, viewer);
    const first = commitOf(viewer, stored.session, lease);
    await under.store.commit(viewer.tenantId, first);
    const state = create(SessionStateSchema, { bundleVersion: 14n });
    const again = commitOf(viewer, stored.session, lease, { state });
    const { id } = stored.session;
    expect((await under.store.commit(viewer.tenantId, again)).kind).toBe("committed");
    for (let i = 0; i < 3; i++) {
      const begun = began(await under.store.begin(viewer, inSession(id)));
      expect(begun.stored.session.state).toEqual(first.state);
      await under.store.abort(viewer.tenantId, begun.lease);
    }
  });

  const damages: Record<string, (value: Buffer) => Buffer> = {
    "cut off": (value) => value.subarray(0, value.byteLength - 3),
    "cut off within its seal": (value) => value.subarray(0, 2),
    "of another byte": (value) => Buffer.concat([value.subarray(0, -1), Buffer.of(0x7f)]),
    "of a newer release": (value) => Buffer.concat([Buffer.of(2), value.subarray(1)]),
    "of somebody else": () => Buffer.from("hello"),
  };
  describe.each(["head", "3"])("in its field %s", (field) => {
    it.each(Object.keys(damages))(
      "is not believed when it is %s, and is made anew",
      async (how) => {
        const { key, begin } = await talked();
        const { operator } = under.redis;
        const value = await operator.hgetBuffer(key, field);
        await operator.hset(key, field, damages[how]?.(value ?? Buffer.of()) ?? "");
        let begun: Awaited<ReturnType<typeof begin>> | undefined;
        expect(await counted("corrupt", async () => (begun = await begin()))).toBe(1);
        expect(begun?.stored.session.state?.bundleVersion).toBe(7n);
        expect(begun?.history.map(({ number }) => number)).toEqual([1, 2, 3]);
        await expect.poll(() => operator.hgetBuffer(key, field)).toEqual(value);
      },
    );
  });

  it("is not believed when it is another session's, nor when it is no hash, and is made anew", async () => {
    const { operator } = under.redis;
    const [one, other] = [await talked(), await talked()];
    await operator.copy(other.key, one.key, "REPLACE");
    const { history } = await one.begin();
    expect(history.map(({ sessionId }) => sessionId)).toEqual([one.id, one.id, one.id]);
    await expect.poll(() => counted("hit", one.begin)).toBe(1);
    await operator.set(one.key, "a text");
    expect((await one.begin()).history).toHaveLength(3);
    await expect.poll(() => counted("hit", one.begin)).toBe(1);
  });

  it("was told once in the log, however often it was found corrupt", () => {
    const times = warnings.filter((text) => text.includes("not what was written")).length;
    expect(times).toBeGreaterThan(0);
    expect(times).toBeLessThanOrEqual(replicas); // of more than ten that were found
  });

  it("goes with the session, and after a time without a turn", async () => {
    const { viewer, id, key } = await talked();
    expect(await under.redis.operator.pttl(key)).toBeGreaterThan(0);
    await under.store.change(viewer, id, (session) => ({
      session: { ...session, meta: { ...session.meta!, deletedAt: timestampFromDate(noon) } },
      endsTurn: true,
      events: [],
    }));
    await expect.poll(() => under.redis.operator.exists(key)).toBe(0);
  });

  it("is nothing of a session that is too large for it", async () => {
    const { viewer, id, key, begin } = await talked();
    const { stored, lease } = began(await under.store.begin(viewer, inSession(id)));
    const appliedRuleIds = ["x".repeat(30_000)];
    const state = create(SessionStateSchema, { appliedRuleIds });
    await under.store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease, { state }));
    await expect.poll(() => under.redis.operator.exists(key)).toBe(0);
    expect((await begin()).stored.session.state).toEqual(state);
    expect(await under.redis.operator.exists(key)).toBe(0);
  });

  it("is not written while Redis is full, which is counted, and is again when it isn't", async () => {
    const { viewer, id, begin } = await talked();
    await under.redis.full(true);
    const before = (await outcomes())("refused");
    for (let i = 0; i < 3; i++) await turnOf(under.store, viewer, id);
    await expect.poll(async () => (await outcomes())("refused")).toBeGreaterThan(before);
    expect((await begin()).history).toHaveLength(6);
    await under.redis.full(false);
    await begin();
    await expect.poll(() => counted("hit", begin)).toBe(1);
  });

  it("is not waited for once Redis has hung a few times, and is asked for again when it is back", async () => {
    const { viewer, id, begin } = await talked();
    under.link.stall();
    // Each replica finds it out for itself, and writes fail when nobody waits for them any more.
    const failures = async () => {
      let failed = 0;
      for (let i = 0; i < replicas; i++)
        failed += await counted("failed", () => turnOf(under.store, viewer, id));
      return failed;
    };
    await expect.poll(failures, { timeout: 5_000 }).toBe(0);
    under.link.mend();
    await expect.poll(() => counted("hit", begin), { timeout: 5_000 }).toBe(1);
  });
});
