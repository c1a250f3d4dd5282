import { tenantOf } from "@soldier/chassis/identity";
import type { route } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { EntityDecision, type MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { decideEntity, likelyPairs } from "../domain/entity-matching.ts";
import type { FactStore } from "../store/fact-store.ts";
import type { ResolutionStore } from "../store/resolution-store.ts";
import { entityMessage } from "./convert-facts.ts";

export interface IngestionRpcOptions {
  readonly resolutions: ResolutionStore;
  readonly facts: Pick<FactStore, "entitiesById">;
  /** Called after episodes were entered for a stage. */
  readonly entered: () => void;
}

type Handlers = Parameters<typeof route<typeof MemoryService>>[1];

const suggestionsDefault = 50;

/** The handlers of entities' names and of ingestion. */
export function ingestionRpc({ resolutions, facts, entered }: IngestionRpcOptions) {
  return {
    async resolveEntity({ groupId, name, type }, ctx) {
      const decision = decideEntity(
        { name, type },
        await resolutions.entities(tenantOf(ctx), groupId),
      );
      switch (decision.kind) {
        case "match":
          return { decision: EntityDecision.MATCH, entityIds: [decision.entityId] };
        case "ambiguous":
          return { decision: EntityDecision.AMBIGUOUS, entityIds: [...decision.entityIds] };
        case "new":
          return { decision: EntityDecision.NEW, suggestions: [...decision.suggestions] };
      }
    },

    async listEntitySuggestions({ groupId, limit }, ctx) {
      const tenantId = tenantOf(ctx);
      const entities = await resolutions.entities(tenantId, groupId);
      const pairs = likelyPairs(entities, limit || suggestionsDefault);
      const ids = [...new Set(pairs.flatMap(({ a, b }) => [a.id, b.id]))];
      const stored = await facts.entitiesById(tenantId, ids);
      const byId = new Map(stored.map((one) => [one.id, entityMessage(tenantId, one)]));
      return {
        suggestions: pairs.flatMap(({ a, b, score }) => {
          const [one, other] = [byId.get(a.id), byId.get(b.id)];
          return one && other ? [{ a: one, b: other, score }] : [];
        }),
      };
    },

    async reprocessEpisodes({ stage, groupId }, ctx) {
      if (stage !== "embedded" && stage !== "extracted")
        throw new Fault("invalid", `no stage ${stage} to pass again`, {
          reason: "STAGE_INVALID",
          fields: [{ field: "stage", description: 'must be "embedded" or "extracted"' }],
        });
      const count = await resolutions.reprocess(tenantOf(ctx), stage, groupId || undefined);
      if (count > 0) entered();
      return { entered: BigInt(count) };
    },
  } satisfies Handlers;
}
