import { modelTables } from "@soldier/ai/model-settings";
import { openModels } from "@soldier/ai/models";
import {
  embedderSettings,
  openEmbedder,
  openReranker,
  rerankerSettings,
} from "@soldier/ai/settings";
import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { messageOf } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { openRedis, redisSettings } from "@soldier/storage/redis";
import { redisCache } from "@soldier/storage/redis-cache";
import { bundleCache } from "./bundles/bundle-cache.ts";
import { noSpares, redisSpares } from "./bundles/bundle-spares.ts";
import type { Means } from "./pipeline/means.ts";
import { alignmentPipeline } from "./pipeline/pipeline.ts";
import { alignmentRpc } from "./rpc/alignment-rpc.ts";
import { alignmentSettings, bundlesSettings } from "./settings.ts";
import { egress } from "./tools/egress.ts";
import { toolTransport } from "./tools/tool-transport.ts";

/** Decides what an agent answers. Keeps nothing but published behaviour, which it can fetch again. */
export const alignment = service({
  name: "alignment",
  begins: [AlignmentService.method.processTurn],
  settings: {
    alignment: alignmentSettings,
    bundles: bundlesSettings,
    ...modelTables,
    embedder: embedderSettings,
    reranker: rerankerSettings,
    redis: redisSettings,
    events: eventsSettings,
  },
  async start({ settings: { alignment: own, ...settings }, call, opened, log, clock }) {
    const embedder = openEmbedder(settings.embedder, opened, log);
    async function openSpares() {
      // Pieces are half a megabyte, and nobody waits for them but a replica that has nothing else.
      const patient = { ...settings.redis, command_timeout_ms: 5_000 };
      const redis = await openRedis({ settings: patient, opened, log });
      const cache = redisCache({ redis, name: "bundles", log });
      const { bundle_spare_ttl_ms: ttlMs, bundle_spare_max_bytes: maxBytes } = own;
      return redisSpares(cache, { ttlMs, maxBytes });
    }
    const bundles = bundleCache({
      config: call(ConfigService),
      embedder,
      defaults: own,
      clock,
      log,
      recheckMs: own.bundle_recheck_ms,
      bundlesMax: own.bundles_max,
      bundlesMaxBytes: own.bundles_max_bytes,
      bundleMaxBytes: settings.bundles.max_bytes,
      spares: own.bundle_spares === "redis" ? await openSpares() : noSpares,
    });
    const bus = await openBus({ settings: settings.events, opened, log });
    opened.use(
      await bus.broadcast([configPublishedTopic.name], async (event) => {
        const { tenantId, agentId, agentSlug } = messageOf(configPublishedTopic, event);
        bundles.published(tenantId, { id: agentId, slug: agentSlug });
      }),
    );
    const means: Means = {
      bundles,
      session: call(SessionService, { patient: true }),
      profile: call(ProfileService),
      memory: call(MemoryService),
      embedder,
      models: openModels(settings, clock),
      reranker: openReranker(settings.reranker, embedder),
      tools: {
        transport: toolTransport(
          {
            egress: egress({ allowedPrivateHosts: own.tools.allowed_private_hosts }, opened),
            answerSizeMaxBytes: own.tools.answer_size_max_bytes,
            settings: own.tool_settings,
            breakerFailures: own.tools.breaker_failures,
            breakerOpenMs: own.tools.breaker_open_ms,
            clock,
            log,
          },
          opened,
        ),
        timeoutMs: own.tools.timeout_ms,
      },
      clock,
      budgets: own.budgets,
      limits: {
        leaseMs: own.lease_ms,
        supersedeCheckMs: own.supersede_check_ms,
        turnTimeoutMs: own.turn_timeout_ms,
        messageSizeMaxBytes: own.message_size_max_bytes,
        historyTurnsMax: own.history_turns_max,
      },
    };
    const pipeline = alignmentPipeline(means);
    return {
      routes: [alignmentRpc({ means, pipeline, log, running: new Map() }, call(AuditService))],
    };
  },
});
