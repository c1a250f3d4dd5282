import type { HandlerContext } from "@connectrpc/connect";
import { enumToJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { identityOf, tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import { type Act, audited } from "@soldier/events/audited";
import { type Event, newEvent } from "@soldier/events/event";
import { profileErasedTopic } from "@soldier/events/topics";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { type Consent, FieldSourceSchema } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { fieldMessage, spanMessage } from "../domain/messages.ts";
import type { DefinitionStore } from "../store/definitions.ts";
import type { NewConsent, ProfileStore } from "../store/profile-store.ts";
import { newAsset } from "./new-asset.ts";
import { newClaim } from "./new-claim.ts";
import { assetAfter, customerAfter, instantAfter, pageToken } from "./page-token.ts";

export interface ProfileRpcOptions {
  readonly store: ProfileStore;
  readonly definitions: DefinitionStore;
  readonly clock: Clock;
  /** Called after events went into the outbox. */
  readonly announced: () => void;
}

const pageDefault = 50;

export function profileRpc(options: ProfileRpcOptions): Route {
  const { store, definitions, clock, announced } = options;

  async function read(tenantId: string, customerId: string) {
    const profile = await store.get(tenantId, customerId, clock.now());
    if (!profile) throw absent(customerId);
    return profile;
  }

  /** What an act is told by, and when it was done. */
  function acting(ctx: HandlerContext) {
    const { tenantId, subject } = identityOf(ctx);
    const now = clock.now();
    const tell = (customerId: string, action: string, details: JsonObject): Event =>
      audited({ tenantId, subject }, actOn(customerId, action, details), now);
    return { tenantId, subject, now, tell };
  }

  return route(ProfileService, {
    async getOrCreateProfile({ channel, externalId }, ctx) {
      return store.getOrCreate(tenantOf(ctx), channel, stored(externalId), clock.now());
    },

    async getProfile({ customerId, asOf }, ctx) {
      const profile = await store.get(tenantOf(ctx), customerId, clock.now(), {
        valid: asOf?.valid && timestampDate(asOf.valid),
        recorded: asOf?.recorded && timestampDate(asOf.recorded),
      });
      if (!profile) throw absent(customerId);
      return { profile };
    },

    async recallProfile({ customerId }, ctx) {
      return { profile: await read(tenantOf(ctx), customerId) };
    },

    async listProfiles({ pageSize, pageToken: token }, ctx) {
      const limit = pageSize || pageDefault;
      const page = await store.list(tenantOf(ctx), limit, customerAfter(token), clock.now());
      return {
        profiles: [...page.items],
        damagedRows: [...page.damaged],
        nextPageToken: pageToken(page.next),
      };
    },

    async updateField(req, ctx) {
      const { tenantId, subject, now, tell } = acting(ctx);
      const { customerId, name } = req;
      const claim = newClaim(req, await definitions.of(tenantId, [name]), subject, now);
      const claimed = await store.claim(tenantId, customerId, claim, now, ({ claim: came }) => [
        tell(customerId, "profile.field_updated", {
          field: came.name,
          source: enumToJson(FieldSourceSchema, came.source),
          outcome: came.outcome,
          verified_by: came.verified?.method ?? "",
        }),
      ]);
      if (!claimed) throw absent(customerId);
      announced();
      const { claim: came, standing } = claimed;
      return {
        applied: came.outcome !== "pending",
        ...(standing && { field: fieldMessage(standing) }),
      };
    },

    async listFieldHistory(req, ctx) {
      const { customerId, name, pageToken: token, recorded } = req;
      const page = await store.history(
        tenantOf(ctx),
        customerId,
        name,
        req.pageSize || pageDefault,
        instantAfter(token),
        clock.now(),
        recorded && timestampDate(recorded),
      );
      return { values: page.items.map(spanMessage), nextPageToken: pageToken(page.next) };
    },

    async linkIdentity({ customerId, channel, externalId, move }, ctx) {
      const { tenantId, now, tell } = acting(ctx);
      const identity = { channel, externalId: stored(externalId) };
      const linked = () => [tell(customerId, "profile.identity_linked", { channel, moved: move })];
      const outcome = await store.link(tenantId, customerId, identity, now, linked, move);
      if (outcome === "absent") throw absent(customerId);
      if (outcome === "taken")
        throw new Fault("conflict", "the identity belongs to another customer", {
          reason: "IDENTITY_TAKEN",
        });
      announced();
      return { profile: await read(tenantId, customerId) };
    },

    async unlinkIdentity({ customerId, channel, externalId }, ctx) {
      const { tenantId, now, tell } = acting(ctx);
      const identity = { channel, externalId: stored(externalId) };
      const unlinked = () => [tell(customerId, "profile.identity_unlinked", { channel })];
      const outcome = await store.unlink(tenantId, customerId, identity, now, unlinked);
      if (outcome === "absent") throw absent(customerId);
      announced(); // what was not the customer's is not the customer's now, either
      return { profile: await read(tenantId, customerId) };
    },

    async mergeProfiles({ fromCustomerId, intoCustomerId, evidence }, ctx) {
      const { tenantId, subject, now, tell } = acting(ctx);
      if (fromCustomerId === intoCustomerId)
        throw new Fault("invalid", "a customer cannot be merged into itself", {
          reason: "MERGE_INVALID",
          fields: [{ field: "into_customer_id", description: "must be another customer" }],
        });
      const merge = {
        fromId: fromCustomerId,
        intoId: intoCustomerId,
        mergedBy: subject,
        evidence: stored(evidence),
      };
      const merged = await store.merge(tenantId, merge, now, ({ mergeId, rootId }) => [
        tell(rootId, "profile.merged", { from: fromCustomerId, into: rootId, merge_id: mergeId }),
      ]);
      if (merged.kind === "absent") throw absent(merged.customerId);
      announced();
      return { profile: await read(tenantId, merged.rootId), mergeId: merged.mergeId };
    },

    async unmergeProfiles({ mergeId }, ctx) {
      const { tenantId, subject, now, tell } = acting(ctx);
      const done = await store.unmerge(tenantId, mergeId, subject, now, ({ fromId, intoId }) => [
        tell(intoId, "profile.unmerged", { from: fromId, into: intoId, merge_id: mergeId }),
      ]);
      if (done.kind === "absent")
        throw new Fault("not-found", `no merge ${mergeId}`, { reason: "MERGE_NOT_FOUND" });
      announced();
      const { fromId, intoId } = done;
      return { profiles: [await read(tenantId, fromId), await read(tenantId, intoId)] };
    },

    async recordConsent({ customerId, consent }, ctx) {
      const { tenantId, subject, now, tell } = acting(ctx);
      const given = newConsent(consent, subject);
      const action = given.granted ? "profile.consent_given" : "profile.consent_withdrawn";
      const consents = await store.consent(tenantId, customerId, given, now, () => [
        tell(customerId, action, { purpose: given.purpose }),
      ]);
      if (!consents) throw absent(customerId);
      announced();
      return { consents: [...consents] };
    },

    async addAsset({ customerId, asset }, ctx) {
      const { tenantId, subject, now, tell } = acting(ctx);
      if (!asset) throw new Fault("invalid", "there is no asset"); // the contract requires it
      const given = newAsset(asset, subject);
      const added = await store.addAsset(tenantId, customerId, given, now, ({ id, kind }) => [
        tell(customerId, "profile.asset_added", { asset_id: id, kind }),
      ]);
      if (!added) throw absent(customerId);
      announced();
      return { asset: added };
    },

    async listAssets({ customerId, pageSize, pageToken: token }, ctx) {
      const tenantId = tenantOf(ctx);
      const limit = pageSize || pageDefault;
      const page = await store.assets(tenantId, customerId, limit, assetAfter(token));
      return { assets: [...page.items], nextPageToken: pageToken(page.next) };
    },

    async eraseProfile({ customerId, dryRun }, ctx) {
      const { tenantId, subject, now, tell } = acting(ctx);
      const erasure = { customerId, erasedBy: subject, dryRun };
      const erased = await store.erase(tenantId, erasure, now, (done) => [
        newEvent(
          profileErasedTopic,
          tenantId,
          { tenantId, customerIds: [...done.customerIds], erasedAt: timestampFromDate(now) },
          now,
        ),
        tell(customerId, "profile.erased", { ...done.counts }),
      ]);
      if (!erased) throw absent(customerId);
      announced();
      const { certificate, customerIds, counts } = erased;
      return {
        erased: Object.fromEntries(
          Object.entries(counts).map(([kind, number]) => [kind, BigInt(number)]),
        ),
        customerIds: [...customerIds],
        ...(certificate && {
          certificateId: certificate.id,
          erasedAt: timestampFromDate(certificate.erasedAt),
        }),
      };
    },

    async eraseOrigin({ sessionId, dryRun }, ctx) {
      const { tenantId, now } = acting(ctx);
      const counts = await store.eraseOrigin(tenantId, { sessionId, dryRun }, now);
      const entries = Object.entries(counts).map(([kind, count]) => [kind, BigInt(count)] as const);
      return { erased: Object.fromEntries(entries) };
    },
  });
}

/** The word in a request. Throws an "invalid" Fault for one without a purpose. */
function newConsent(consent: Consent | undefined, recordedBy: string): NewConsent {
  const { purpose = "", granted = false, evidence = "", validFrom } = consent ?? {};
  if (!/^[a-z][a-z0-9_.]{0,62}$/.test(purpose))
    throw new Fault("invalid", "a consent has a purpose", {
      reason: "CONSENT_INVALID",
      fields: [{ field: "consent.purpose", description: "must be a name such as marketing" }],
    });
  return {
    purpose,
    granted,
    evidence: stored(evidence),
    validFrom: validFrom && timestampDate(validFrom),
    recordedBy,
  };
}

/** The details never hold values: they are the customer's. */
function actOn(resourceId: string, action: string, details: JsonObject): Act {
  return { action, resourceKind: "customer", resourceId, details };
}

function absent(customerId: string): Fault {
  return new Fault("not-found", `no customer ${customerId}`, { reason: "CUSTOMER_NOT_FOUND" });
}

/** Text without the one character that PostgreSQL cannot store. */
function stored(text: string): string {
  return text.replaceAll("\0", "");
}
