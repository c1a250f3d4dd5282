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
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { bundleCache } from "./bundles/bundle-cache.ts";
import type { Means } from "./pipeline/means.ts";
import { alignmentPipeline } from "./pipeline/pipeline.ts";
import { alignmentRpc } from "./rpc/alignment-rpc.ts";
import { alignmentSettings, bundlesSettings } from "./settings.ts";
import { egress } from "./tools/egress.ts";
import { toolTransport } from "./tools/tool-transport.ts";

/** Decides what an agent answers. Keeps nothing but published behaviour, which it can fetch again. */
export const alignment = service({
  name: "alignment",
  settings: {
    alignment: alignmentSettings,
    bundles: bundlesSettings,
    ...modelTables,
    embedder: embedderSettings,
    reranker: rerankerSettings,
    events: eventsSettings,
  },
  async start({ settings: { alignment: own, ...settings }, call, opened, log, clock }) {
    const embedder = openEmbedder(settings.embedder, opened, log);
    const bundles = bundleCache({
      config: call(ConfigService),
      embedder,
      defaults: own,
      clock,
      log,
      recheckMs: own.bundle_recheck_ms,
      bundlesMax: own.bundles_max,
      bundleMaxBytes: settings.bundles.max_bytes,
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
      session: call(SessionService),
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
