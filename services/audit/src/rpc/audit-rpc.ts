import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { page, pageSize, placeIn } from "../domain/page.ts";
import type { AuditStore, Interval } from "../store/audit-store.ts";

export function auditRpc(store: AuditStore): Route {
  return route(AuditService, {
    async getTurnRecord({ turnId }, ctx) {
      const record = await store.turnRecord(tenantOf(ctx), turnId);
      if (!record) {
        const text = `there is no record of turn ${turnId}; records arrive moments after their turn`;
        throw new Fault("not-found", text, { reason: "TURN_RECORD_NOT_FOUND" });
      }
      return { record };
    },

    async listTurnRecords(req, ctx) {
      const { sessionId, agentId, customerId } = req;
      const size = pageSize(req.pageSize);
      const filter = { sessionId, agentId, customerId, ...intervalOf(req) };
      const slice = { rowsMax: size + 1, after: placeIn(req.pageToken) };
      const found = page(await store.turnRecords(tenantOf(ctx), filter, slice), size);
      return { records: found.items, nextPageToken: found.nextPageToken };
    },

    async listAuditEvents(req, ctx) {
      const { resourceKind, resourceId, action } = req;
      const size = pageSize(req.pageSize);
      const filter = { resourceKind, resourceId, action, ...intervalOf(req) };
      const slice = { rowsMax: size + 1, after: placeIn(req.pageToken) };
      const found = page(await store.auditEvents(tenantOf(ctx), filter, slice), size);
      return { events: found.items, nextPageToken: found.nextPageToken };
    },
  });
}

interface Asked {
  readonly from?: Timestamp | undefined;
  readonly to?: Timestamp | undefined;
}

function intervalOf({ from, to }: Asked): Interval {
  return { from: from && timestampDate(from), to: to && timestampDate(to) };
}
