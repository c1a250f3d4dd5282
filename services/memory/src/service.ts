import { embedderSettings, openEmbedder } from "@soldier/ai/settings";
import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { deadLettersInto } from "@soldier/events/dead-letters";
import { inboxMigrations } from "@soldier/events/inbox";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { everyTenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { startEmbedding } from "./ingest/embed-backlog.ts";
import { followTurns } from "./ingest/follow-turns.ts";
import { memoryRpc } from "./rpc/memory-rpc.ts";
import { groupCache } from "./search/group-cache.ts";
import { episodeSearcher } from "./search/search-episodes.ts";
import { postgresEmbeddingBacklog } from "./store/postgres-backlog.ts";
import { postgresFactStore } from "./store/postgres-facts.ts";
import { consumerName, postgresEpisodeStore } from "./store/postgres.ts";

const weight = z.number().min(0).max(10);

/** The `[memory]` table. */
const memorySettings = z.strictObject({
  vector_weight: weight,
  bm25_weight: weight,
  neighbour_weight: weight,
  session_weight: weight,
  cache_bytes: z.int().min(1_000_000),
  claims_end_max: z.int().min(0).max(100_000),
  claims_end_share: z.number().min(0).max(1),
  embed_batch: z.int().min(1).max(256),
  embed_busy_share: z.number().min(0.01).max(1),
  embed_poll_ms: z.int().min(10).max(60_000),
  embed_retry_ms: z.int().min(1).max(3_600_000),
  embed_retry_max_ms: z.int().min(1).max(86_400_000),
});

const migrations = [new URL("../migrations/", import.meta.url), inboxMigrations];

/** Searches this recent count as somebody waiting. */
const busyWithinMs = 1_000;

/** Owns what was said and done, and finds what is worth knowing of it. */
export const memory = service({
  name: "memory",
  settings: {
    memory: memorySettings,
    postgres: postgresSettings,
    events: eventsSettings,
    embedder: embedderSettings,
  },
  async start({ settings, opened, log, clock, ready }) {
    const { memory: own } = settings;
    const sql = await openPostgres({
      settings: settings.postgres,
      schema: "memory",
      migrations,
      opened,
      log,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const store = observed("episode-store", postgresEpisodeStore(sql));
    const embedder = openEmbedder(settings.embedder, opened, log);
    const monotonicMs = () => clock.monotonicMs();
    const now = () => clock.now();

    const searcher = episodeSearcher({
      groups: groupCache({ store, embedder, bytesMax: own.cache_bytes }),
      embedder,
      weights: {
        vector: own.vector_weight,
        bm25: own.bm25_weight,
        neighbours: own.neighbour_weight,
        session: own.session_weight,
      },
      log,
      monotonicMs,
    });
    const embedding = startEmbedding({
      backlog: postgresEmbeddingBacklog(sql),
      embedder,
      batch: own.embed_batch,
      pollMs: own.embed_poll_ms,
      retryMs: own.embed_retry_ms,
      retryMaxMs: own.embed_retry_max_ms,
      busyShare: own.embed_busy_share,
      busy: () => searcher.busyWithin(busyWithinMs),
      now,
      monotonicMs,
      log,
    });
    opened.use(embedding);
    const stored = () => embedding.poke();
    const deadLetter = deadLettersInto(everyTenantSql(sql));
    const bus = await openBus({ settings: settings.events, opened, log, deadLetter });
    await followTurns({ bus, consumer: consumerName, store, now, stored });
    const facts = observed("fact-store", postgresFactStore(sql));
    const limits = { factsMax: own.claims_end_max, shareMax: own.claims_end_share };
    return { routes: [memoryRpc({ store, facts, limits, searcher, clock, stored })] };
  },
});
