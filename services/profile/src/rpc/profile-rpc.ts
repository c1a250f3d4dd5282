import { enumToJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { identityOf, tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import { type Act, audited } from "@soldier/events/audited";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { FieldSourceSchema } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { claimMessage, fieldMessage } from "../domain/messages.ts";
import type { ProfileStore } from "../store/profile-store.ts";
import { newClaim } from "./new-claim.ts";
import { customerAfter, pageToken, versionAfter } from "./page-token.ts";

export interface ProfileRpcOptions {
  readonly store: ProfileStore;
  readonly clock: Clock;
  /** Called after events went into the outbox. */
  readonly announced: () => void;
}

const pageDefault = 50;

export function profileRpc({ store, clock, announced }: ProfileRpcOptions): Route {
  async function read(tenantId: string, customerId: string) {
    const profile = await store.get(tenantId, customerId, clock.now());
    if (!profile) throw absent(customerId);
    return profile;
  }

  return route(ProfileService, {
    async getOrCreateProfile({ channel, externalId }, ctx) {
      return store.getOrCreate(tenantOf(ctx), channel, stored(externalId), clock.now());
    },

    async getProfile({ customerId }, ctx) {
      return { profile: await read(tenantOf(ctx), customerId) };
    },

    async recallProfile({ customerId }, ctx) {
      return { profile: await read(tenantOf(ctx), customerId) };
    },

    async listProfiles({ pageSize, pageToken: token }, ctx) {
      const limit = pageSize || pageDefault;
      const page = await store.list(tenantOf(ctx), limit, customerAfter(token), clock.now());
      return { profiles: [...page.items], nextPageToken: pageToken(page.next) };
    },

    async updateField(req, ctx) {
      const { tenantId, subject } = identityOf(ctx);
      const { customerId } = req;
      const now = clock.now();
      const claimed = await store.claim(
        tenantId,
        customerId,
        newClaim(req, subject, now),
        now,
        ({ claim }) => {
          const details = {
            field: claim.name,
            source: enumToJson(FieldSourceSchema, claim.source),
            outcome: claim.outcome,
            verified_by: claim.verified?.method ?? "",
          };
          const action = "profile.field_updated";
          return [audited({ tenantId, subject }, actOn(customerId, action, details), now)];
        },
      );
      if (!claimed) throw absent(customerId);
      announced();
      const { claim, standing } = claimed;
      return { field: fieldMessage(standing), applied: claim.outcome !== "pending" };
    },

    async listFieldHistory({ customerId, name, pageSize, pageToken: token }, ctx) {
      const limit = pageSize || pageDefault;
      const after = versionAfter(token);
      const page = await store.history(tenantOf(ctx), customerId, name, limit, after);
      return { values: page.items.map(claimMessage), nextPageToken: pageToken(page.next) };
    },

    async linkIdentity({ customerId, channel, externalId }, ctx) {
      const { tenantId, subject } = identityOf(ctx);
      const now = clock.now();
      const identity = { channel, externalId: stored(externalId) };
      const outcome = await store.link(tenantId, customerId, identity, now, () => {
        const action = "profile.identity_linked";
        const details = { channel };
        return [audited({ tenantId, subject }, actOn(customerId, action, details), now)];
      });
      if (outcome === "absent") throw absent(customerId);
      if (outcome === "taken")
        throw new Fault("conflict", "the identity belongs to another customer", {
          reason: "IDENTITY_TAKEN",
        });
      announced();
      return { profile: await read(tenantId, customerId) };
    },

    async recordConsent({ customerId, consent }, ctx) {
      const { tenantId, subject } = identityOf(ctx);
      const now = clock.now();
      const { purpose = "", granted = false, evidence = "", validFrom } = consent ?? {};
      if (!/^[a-z][a-z0-9_.]{0,62}$/.test(purpose))
        throw new Fault("invalid", "a consent has a purpose", {
          reason: "CONSENT_INVALID",
          fields: [{ field: "consent.purpose", description: "must be a name such as marketing" }],
        });
      const given = {
        purpose,
        granted,
        evidence: stored(evidence),
        validFrom: validFrom ? timestampDate(validFrom) : now,
        recordedBy: subject,
      };
      const consents = await store.consent(tenantId, customerId, given, now, () => {
        const action = granted ? "profile.consent_given" : "profile.consent_withdrawn";
        const details = { purpose };
        return [audited({ tenantId, subject }, actOn(customerId, action, details), now)];
      });
      if (!consents) throw absent(customerId);
      announced();
      return { consents: [...consents] };
    },
  });
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
