import { create, type JsonObject } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Identity, identityOf, tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import { currentTraceId } from "@soldier/chassis/tracing";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { AuditEventSchema, AuditService } from "@soldier/proto/audit/v1/audit_service";
import { type DamagedAt, pageOfRows } from "@soldier/storage/damaged-rows";
import { type Place, type Placed, pageSize, placeIn, tokenOf } from "../domain/page.ts";
import type { AuditStore, Interval } from "../store/audit-store.ts";
import { verify } from "./verify.ts";

const exportRows = 200;

export function auditRpc(store: AuditStore, clock: Clock): Route {
  async function noteForgotten(
    { tenantId, subject }: Identity,
    what: { readonly kind: "customer" | "tenant"; readonly id: string },
    details: JsonObject,
  ): Promise<void> {
    const now = clock.now();
    const id = newId();
    const forgotten = create(AuditEventSchema, {
      id,
      actor: subject,
      action: `${what.kind}.forgotten`,
      resourceKind: what.kind,
      resourceId: what.id,
      occurredAt: timestampFromDate(now),
      traceId: currentTraceId() ?? "",
      details,
    });
    await store.addAuditEvent({ id, tenantId, occurredAt: now }, forgotten, now);
  }

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
      const { slice, pageOf } = paged(req, size);
      const { items, ...page } = pageOf(await store.turnRecords(tenantOf(ctx), filter, slice));
      return { records: items, ...page };
    },

    async listAuditEvents(req, ctx) {
      const { resourceKind, resourceId, action } = req;
      const size = pageSize(req.pageSize);
      const filter = { resourceKind, resourceId, action, ...intervalOf(req) };
      const { slice, pageOf } = paged(req, size);
      const { items, ...page } = pageOf(await store.auditEvents(tenantOf(ctx), filter, slice));
      return { events: items, ...page };
    },

    async verifyChain(req, ctx) {
      const interval = intervalOf(req);
      const found = await verify(store, tenantOf(ctx), interval, req.knownEnd, ctx.signal);
      return {
        intact: !found.broken,
        checked: BigInt(found.checked),
        dropped: BigInt(found.dropped),
        brokenAt: found.broken?.at ?? "",
        reason: found.broken?.reason ?? "",
        end: found.end,
      };
    },

    async forgetCustomer({ customerId, dryRun }, ctx) {
      const identity = identityOf(ctx);
      const forgotten = await store.forget(identity.tenantId, customerId, dryRun);
      const { records, destroyed, unreadableLetters: letters } = forgotten;
      if ((destroyed || letters > 0) && !dryRun)
        await noteForgotten(
          identity,
          { kind: "customer", id: customerId },
          { records, ...(letters > 0 && { unreadable_letters: letters }) },
        );
      return { records: BigInt(records), destroyed, unreadableLetters: BigInt(letters) };
    },

    async forgetTenant({ dryRun }, ctx) {
      const identity = identityOf(ctx);
      const { tenantId } = identity;
      const forgotten = await store.forgetAll(tenantId, dryRun);
      const { records, keys, unreadableLetters: letters } = forgotten;
      if (keys > 0 && !dryRun)
        await noteForgotten(identity, { kind: "tenant", id: tenantId }, { records, keys });
      return {
        records: BigInt(records),
        keys: BigInt(keys),
        unreadableLetters: BigInt(letters),
      };
    },

    async *exportRecords(req, ctx) {
      const tenantId = tenantOf(ctx);
      const interval = intervalOf(req);
      const part = await store.chainPart(tenantId, interval);
      for (let next = part?.first; part && next !== undefined && next <= part.last;) {
        ctx.signal.throwIfAborted();
        const links = await store.links(tenantId, next, exportRows);
        for (const link of links) {
          if (link.seq > part.last || !isWithin(link.at, interval)) continue;
          const item = await store.readLink(tenantId, link);
          if (item?.$typeName === "soldier.audit.v1.TurnRecord")
            yield { item: { case: "record" as const, value: item } };
          else if (item) yield { item: { case: "event" as const, value: item } };
        }
        const last = links.at(-1);
        next = last && last.seq + 1n;
      }
    },
  });
}

/** What to read for a page, and the page of it. */
function paged({ pageToken }: { readonly pageToken: string }, size: number) {
  const damaged: DamagedAt<Place>[] = [];
  const onDamaged = (one: DamagedAt<Place>) => damaged.push(one);
  const slice = { rowsMax: size + 1, after: placeIn(pageToken), onDamaged };
  return {
    slice,
    pageOf: <T>(rows: readonly Placed<T>[]) => {
      const { items, damagedRows, next } = pageOfRows(rows, damaged, size, ({ place }) => place);
      return { items: items.map(({ item }) => item), damagedRows, nextPageToken: tokenOf(next) };
    },
  };
}

function isWithin(at: Date, { from, to }: Interval): boolean {
  return (!from || at >= from) && (!to || at < to);
}

interface Asked {
  readonly from?: Timestamp | undefined;
  readonly to?: Timestamp | undefined;
}

function intervalOf({ from, to }: Asked): Interval {
  return { from: from && timestampDate(from), to: to && timestampDate(to) };
}
