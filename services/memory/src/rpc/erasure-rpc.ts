import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { identityOf, tenantOf } from "@soldier/chassis/identity";
import type { route } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";
import type { ErasureSchema } from "@soldier/proto/memory/v1/memory";
import type { EraseRequest, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { type Counts, type ErasureScope, scopeId } from "../domain/erasure.ts";
import type { Eraser } from "../erase/erase.ts";
import type { Erasure, ErasureStore } from "../store/erasure-store.ts";
import { idOf, idToken } from "./page-token.ts";

export interface ErasureRpcOptions {
  readonly erasures: Pick<ErasureStore, "get" | "list">;
  readonly eraser: Eraser;
}

const pageDefault = 50;

type Handlers = Parameters<typeof route<typeof MemoryService>>[1];

/** The handlers of erasures and their certificates. */
export function erasureRpc({ erasures, eraser }: ErasureRpcOptions) {
  return {
    async erase(req, ctx) {
      const { tenantId, subject: askedBy } = identityOf(ctx);
      const scope = scopeOf(req);
      const asked = { tenantId, askedBy };
      if (req.dryRun) {
        const counts = await eraser.count(asked, scope);
        return { erased: messageOf(counts ?? {}) };
      }
      const erasure = await eraser.erase(asked, scope);
      if (!erasure) return {}; // an episode that is not there, or not any more: 0
      return {
        certificateId: erasure.finishedAt ? erasure.id : "",
        erased: messageOf(erasure.counts),
        erasure: erasureMessage(erasure),
      };
    },

    async getErasure({ erasureId }, ctx) {
      const erasure = await erasures.get(tenantOf(ctx), erasureId);
      if (!erasure)
        throw new Fault("not-found", `no erasure ${erasureId}`, { reason: "ERASURE_NOT_FOUND" });
      return { erasure: erasureMessage(erasure) };
    },

    async listErasures({ pageSize, pageToken }, ctx) {
      const page = await erasures.list(tenantOf(ctx), pageSize || pageDefault, idOf(pageToken));
      return { erasures: page.items.map(erasureMessage), nextPageToken: idToken(page.next) };
    },
  } satisfies Handlers;
}

function scopeOf({ scope }: EraseRequest): ErasureScope {
  switch (scope.case) {
    case "episodeId":
      if (isId(scope.value)) return { kind: "episode", episodeId: scope.value };
      throw invalid("episode_id", "must be an episode's id");
    case "sessionId":
      if (scope.value !== "") return { kind: "session", sessionId: scope.value };
      throw invalid("session_id", "must name a session");
    case "customerId":
      if (scope.value !== "") return { kind: "customer", customerId: scope.value };
      throw invalid("customer_id", "must name a customer");
    case "tenant":
      if (scope.value) return { kind: "tenant" };
      throw invalid("tenant", "must be true: everything of the tenant is erased");
    case undefined:
    default:
      throw invalid("scope", "must say what to erase");
  }
}

function invalid(field: string, description: string): Fault {
  return new Fault("invalid", "what to erase is not clear", {
    reason: "ERASURE_INVALID",
    fields: [{ field, description }],
  });
}

function messageOf(counts: Counts): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(counts).map(([kind, count]) => [kind, BigInt(count)] as const),
  );
}

function erasureMessage(erasure: Erasure): MessageInitShape<typeof ErasureSchema> {
  const { id, tenantId, scope, about, askedBy, finishedAt } = erasure;
  return {
    id,
    tenantId,
    scope: scope.kind,
    scopeId: scopeId(scope),
    customerIds: [...about.customerIds],
    until: timestampFromDate(erasure.until),
    askedBy,
    askedAt: timestampFromDate(erasure.askedAt),
    done: [...erasure.done],
    erased: messageOf(erasure.counts),
    probes: erasure.probes,
    attempts: erasure.attempts,
    failed: erasure.failed,
    ...(finishedAt && { finishedAt: timestampFromDate(finishedAt) }),
  };
}
