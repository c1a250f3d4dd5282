import { modelTables } from "@soldier/ai/model-settings";
import { openModels } from "@soldier/ai/models";
import {
  embedderSettings,
  nextEmbedderSettings,
  openEmbedder,
  openNextEmbedder,
  openReranker,
  rerankerSettings,
} from "@soldier/ai/settings";
import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { deadLettersInto, eraseDeadLetters } from "@soldier/events/dead-letters";
import { prunableInbox } from "@soldier/events/inbox";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { startPruning } from "@soldier/storage/pruning";
import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { Fault } from "@soldier/kernel/fault";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import { elsewhere } from "./erase/elsewhere.ts";
import { eraser } from "./erase/erase.ts";
import { followProfiles } from "./erase/follow-profiles.ts";
import { followRetentions } from "./erase/follow-retentions.ts";
import { keepRetentions } from "./erase/keep-retentions.ts";
import { resumeErasures } from "./erase/resume-erasures.ts";
import { followTurns } from "./ingest/follow-turns.ts";
import { ingestionSettings, stagesEntered, startIngestion } from "./ingestion.ts";
import { memoryRpc } from "./rpc/memory-rpc.ts";
import { ownSchema } from "./schema.ts";
import { groupCache } from "./search/group-cache.ts";
import { tenantGroups } from "./search/tenant-groups.ts";
import { factFinder } from "./search/find-facts.ts";
import { episodeSearcher } from "./search/search-episodes.ts";
import { rerankedSearcher } from "./search/rerank-hits.ts";
import { memorySearcher } from "./search/search-memory.ts";
import { postgresFactFinds } from "./store/find-facts.ts";
import { postgresSummaryFinds } from "./store/find-summaries.ts";
import { ingestionBacklogs } from "./store/ingestion-backlogs.ts";
import { latestGroups } from "./store/latest-groups.ts";
import { oldVectors } from "./store/old-vectors.ts";
import { postgresErasureStore } from "./store/postgres-erasures.ts";
import { postgresFactStore } from "./store/postgres-facts.ts";
import { postgresGraph } from "./store/postgres-graph.ts";
import { postgresResolutions } from "./store/postgres-resolutions.ts";
import { postgresSummaryStore } from "./store/postgres-summaries.ts";
import { postgresTenantFinds } from "./store/postgres-tenant-finds.ts";
import { consumerName, postgresEpisodeStore } from "./store/postgres.ts";
import { postgresRetentionStore } from "./store/retention-store.ts";

const weight = z.number().min(0).max(10);

/** The `[memory]` table. */
const memorySettings = z.strictObject({
  vector_weight: weight,
  bm25_weight: weight,
  neighbour_weight: weight,
  session_weight: weight,
  cache_bytes: z.int().min(1_000_000),
  tenant_wide_effort: z.int().min(10).max(1_000),
  rerank_max: z.int().min(0).max(200),
  claims_end_max: z.int().min(0).max(100_000),
  claims_end_share: z.number().min(0).max(1),
  ...ingestionSettings,
  erase_poll_ms: z.int().min(10).max(3_600_000),
  expire_poll_ms: z.int().min(10).max(86_400_000),
  keep_old_vectors_days: z.int().min(1).max(3_650),
});

/** Longest that a search for what was erased may take. */
const probeTimeoutMs = 10_000;
/** What a search of a whole tenant looks through exactly: the groups with the latest news. */
const tenantWide = { groupsMax: 1_000, changesMax: 50_000 };
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
    next_embedder: nextEmbedderSettings,
    reranker: rerankerSettings,
    ...modelTables,
  },
  async start({ settings, call, opened, log, clock, ready }) {
    const { memory: own } = settings;
    const sql = await openPostgres({
      settings: settings.postgres,
      ...ownSchema,
      opened,
      log,
      ready,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const embedder = openEmbedder(settings.embedder, opened, log);
    const nextEmbedder = openNextEmbedder(settings.next_embedder, embedder, opened, log);
    const entered = stagesEntered(own, nextEmbedder !== undefined);
    const store = observed("episode-store", postgresEpisodeStore(sql, entered));
    const monotonicMs = () => clock.monotonicMs();
    const now = () => clock.now();

    const finds = observed(
      "tenant-finds",
      postgresTenantFinds(sql, {
        embedders: [embedder, ...(nextEmbedder ? [nextEmbedder] : [])],
        effort: own.tenant_wide_effort,
        monotonicMs,
      }),
    );
    await finds.ready(); // the index of a new model is made before its first vector is there

    const searcher = episodeSearcher({
      groups: groupCache({ store, embedder, bytesMax: own.cache_bytes }),
      tenants: tenantGroups(finds, embedder),
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
    const graph = observed("graph-store", postgresGraph(sql));
    const memories = memorySearcher({
      episodes: searcher,
      facts: factFinder(observed("fact-finds", postgresFactFinds(sql)), graph),
      summaries: postgresSummaryFinds(sql),
      embedder,
      weights: { vector: own.vector_weight, bm25: own.bm25_weight },
    });
    const reranker = openReranker(settings.reranker, embedder);
    if (own.rerank_max > 0 && reranker.id === "none")
      throw new Fault(
        "precondition",
        `memory.rerank_max is ${own.rerank_max}, but nobody is there to put hits in order: name a provider in [reranker], or set it to 0`,
      );
    const limits = { factsMax: own.claims_end_max, shareMax: own.claims_end_share };
    const vectorsOf = {
      embedded: embedder.model,
      ...(nextEmbedder && { embedded_next: nextEmbedder.model }),
    };
    const resolutions = observed("resolution-store", postgresResolutions(sql, vectorsOf));
    const summaries = observed("summary-store", postgresSummaryStore(sql));
    const models = openModels(settings, clock);
    const ingestion = startIngestion({
      settings: own,
      backlogs: ingestionBacklogs(sql, {
        model: embedder.model,
        nextModel: nextEmbedder?.model,
        limits,
      }),
      model: models.for("extract"),
      summariser: models.for("summarise"),
      summaries,
      busy: () => searcher.busyWithin(busyWithinMs),
      embedder,
      nextEmbedder,
      resolutions,
      now,
      monotonicMs,
      log,
      opened,
    });
    const stored = () => ingestion.poke();
    const every = everyTenantSql(sql);
    const tables = [
      ...prunableInbox(every, settings.events),
      ...oldVectors({
        sql: every,
        model: embedder.model,
        nextModel: nextEmbedder?.model,
        keepDays: own.keep_old_vectors_days,
        monotonicMs,
      }),
    ];
    opened.use(startPruning({ service: "memory", tables, log }));
    const deadLetter = deadLettersInto(every);
    const bus = await openBus({ settings: settings.events, opened, log, deadLetter });
    await followTurns({ bus, consumer: consumerName, store, now, stored });
    const facts = observed("fact-store", postgresFactStore(sql));
    const erasures = observed("erasure-store", postgresErasureStore(sql));
    const erasing = eraser({
      store: erasures,
      elsewhere: elsewhere({
        call,
        bus,
        eraseDeadLetters: (what) => eraseDeadLetters(tenantSql(sql, what.tenantId), what),
      }),
      finds: async (tenantId, { groupId, episodeId, text }) => {
        const search = {
          tenantId,
          groupIds: [groupId],
          text,
          embedding: undefined,
          hitsMax: 100,
          tokensMax: undefined,
          exceptSessionId: "",
          validAt: now(),
          recordedAt: undefined,
        };
        const { hits } = await searcher.search(search, timeoutSignal(probeTimeoutMs));
        return hits.some(({ episode }) => episode.id === episodeId);
      },
      log,
    });
    await followProfiles({ bus, consumer: consumerName, store: erasures, eraser: erasing });
    opened.use(
      resumeErasures({ store: erasures, eraser: erasing, pollMs: own.erase_poll_ms, log }),
    );
    const retentions = observed("retention-store", postgresRetentionStore(sql));
    await followRetentions({ bus, consumer: consumerName, retentions });
    opened.use(
      keepRetentions({ retentions, eraser: erasing, pollMs: own.expire_poll_ms, now, log }),
    );
    return {
      routes: [
        memoryRpc({
          store,
          facts,
          graph,
          limits,
          erasures,
          eraser: erasing,
          searcher:
            own.rerank_max > 0
              ? rerankedSearcher(memories, { reranker, hitsMax: own.rerank_max, log })
              : memories,
          everyGroup: latestGroups(sql, tenantWide),
          clock,
          stored,
          resolutions,
          summaries,
          embedder,
        }),
      ],
    };
  },
});
