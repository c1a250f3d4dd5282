import { timestampDate } from "@bufbuild/protobuf/wkt";
import { tenantOf } from "@soldier/chassis/identity";
import type { route } from "@soldier/chassis/service";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import type { AsOf } from "@soldier/proto/memory/v1/memory";
import type { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { endsOf } from "../domain/graph-walk.ts";
import type { FactStore } from "../store/fact-store.ts";
import type { GraphPoint, GraphStore } from "../store/graph-store.ts";
import { entityMessage, factMessage } from "./convert-facts.ts";

export interface GraphRpcOptions {
  readonly graph: GraphStore;
  readonly facts: Pick<FactStore, "entitiesById">;
  readonly clock: Clock;
}

const depthDefault = 2;
const relationshipsDefault = 100;

type Handlers = Parameters<typeof route<typeof MemoryService>>[1];

/** The handlers of what is between entities. */
export function graphRpc({ graph, facts, clock }: GraphRpcOptions) {
  const pointOf = (groupId: string, asOf: AsOf | undefined): GraphPoint => ({
    groupId,
    validAt: asOf?.valid ? timestampDate(asOf.valid) : clock.now(),
    recordedAt: asOf?.recorded && timestampDate(asOf.recorded),
  });

  return {
    async walkGraph({ entityId, groupId, asOf, depthMax, relationshipsMax }, ctx) {
      const tenantId = tenantOf(ctx);
      const own = groupId || (await graph.groupOf(tenantId, entityId));
      if (!own)
        throw new Fault("not-found", `no entity ${entityId} has a name: say which group it is of`, {
          reason: "ENTITY_NOT_FOUND",
        });
      const point = pointOf(own, asOf);
      const edges = await graph.walk(tenantId, point, entityId, {
        depthMax: depthMax || depthDefault,
        edgesMax: relationshipsMax || relationshipsDefault,
      });
      const ids = [...new Set(edges.flatMap(({ fact }) => endsOf(fact)))];
      const named = await facts.entitiesById(tenantId, ids);
      const entities = new Map(named.map((entity) => [entity.id, entityMessage(tenantId, entity)]));
      // Of what nobody has named, claims say the id.
      const entity = (id = "") => entities.get(id) ?? { id, tenantId, groupId: own };
      return {
        relationships: edges.map(({ fact, depth }) => {
          const [subject, object] = endsOf(fact);
          return {
            fact: factMessage(fact, point.validAt.getTime()),
            subject: entity(subject),
            object: entity(object),
            depth,
          };
        }),
      };
    },

    async rankEntities({ groupId, entityIds, nearEntityId, asOf }, ctx) {
      const near = nearEntityId || undefined;
      const point = pointOf(groupId, asOf);
      const ranked = await graph.rank(tenantOf(ctx), point, entityIds, near);
      return {
        entities: ranked.map(({ entityId, distance, mentions }) => {
          return { entityId, mentions, ...(distance !== undefined && { distance }) };
        }),
      };
    },
  } satisfies Handlers;
}
