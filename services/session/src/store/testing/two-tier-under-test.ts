import type { Log } from "@soldier/kernel/log";
import { silentLog } from "@soldier/kernel/log";
import { openRedis } from "@soldier/storage/redis";
import { redisCache } from "@soldier/storage/redis-cache";
import type { TestPostgres } from "@soldier/storage/testing";
import { type Link, openLink } from "@soldier/storage/testing-link";
import type { OwnRedis } from "@soldier/storage/testing-own-redis";
import { redisSessionCache } from "../session-cache.ts";
import type { SessionStore } from "../session-store.ts";
import { twoTierSessionStore } from "../two-tier.ts";
import type { StoreUnderTest } from "./bench.ts";
import { postgresUnderTest } from "./postgres-under-test.ts";

export interface TwoTierUnderTest extends StoreUnderTest {
  readonly redis: OwnRedis;
  /** The way from the store to Redis. */
  readonly link: Link;
}

const valueMaxBytes = 20_000;

/** Replicas with Redis before PostgreSQL, over a way that can be broken. */
export async function twoTierUnderTest(
  backend: TestPostgres & AsyncDisposable,
  redis: OwnRedis & AsyncDisposable,
  log: Log = silentLog,
): Promise<TwoTierUnderTest> {
  await using servers = new AsyncDisposableStack();
  servers.use(redis);
  const link = servers.use(await openLink(redis.url));
  const settings = {
    url: link.url,
    key_prefix: "test:",
    connect_timeout_ms: 2_000,
    command_timeout_ms: 40,
  };
  const under = servers.use(
    await postgresUnderTest(backend, async (store, opened) => {
      const connection = await openRedis({ settings, opened, log });
      const cache = redisCache({ redis: connection, name: "session", log, restMs: 30 });
      const sessions = redisSessionCache(cache, { ttlMs: 60_000, valueMaxBytes });
      return twoTierSessionStore(store, sessions);
    }),
  );
  const closing = servers.move();
  return { ...under, redis, link, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

type Trouble = "none" | "flush" | "slow" | "stall" | "cut" | "full" | "torn" | "foreign";

// Recovery between: a Redis that is always in trouble would only show that nobody asks it.
const troubles: readonly Trouble[] = (
  "none none flush none none torn none full none none foreign none slow none none none cut " +
  "none none none none torn none stall none none none none foreign"
).split(" ") as Trouble[]; // each is one

/** The same, where something befalls Redis before every few calls. */
export function inTrouble(under: TwoTierUnderTest): StoreUnderTest {
  const { store } = under;
  let calls = 0;
  let happening = Promise.resolve();
  const after =
    <Args extends readonly unknown[], T>(call: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const next = troubles[calls++ % troubles.length] ?? "none";
      happening = happening.then(() => befall(under, next));
      await happening;
      return call(...args);
    };
  return {
    ...under,
    store: Object.fromEntries(
      Object.entries(store).map(([name, call]) => [name, after(call as () => Promise<unknown>)]),
      // Each method is wrapped as what it is.
    ) as unknown as SessionStore,
  };
}

async function befall({ redis, link }: TwoTierUnderTest, trouble: Trouble): Promise<void> {
  link.mend();
  await redis.full(trouble === "full");
  if (trouble === "flush") await redis.operator.flushall();
  else if (trouble === "slow") link.slow(5);
  else if (trouble === "stall") link.stall();
  else if (trouble === "cut") link.cut();
  else if (trouble === "torn" || trouble === "foreign") await damage(redis, trouble);
}

/** Every value there is: cut in the middle, or that of another session. */
async function damage({ operator }: OwnRedis, how: "torn" | "foreign"): Promise<void> {
  const keys = await operator.keys("test:session:*");
  let last: Record<string, Buffer> = {};
  for (const key of keys) {
    const fields = await operator.hgetallBuffer(key);
    for (const [field, value] of Object.entries(fields)) {
      const other = last[field] ?? value;
      const put = how === "torn" ? value.subarray(0, value.byteLength >> 1) : other;
      await operator.hset(key, field, put);
    }
    last = fields;
  }
}
