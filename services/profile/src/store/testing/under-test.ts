import type { Event } from "@soldier/events/event";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import type { NewClaim } from "../../domain/claim.ts";
import { jsonOf } from "../../domain/messages.ts";
import type { DefinitionStore } from "../definitions.ts";
import type { ProfileStore } from "../profile-store.ts";

export const now = new Date("2026-03-01T10:00:00.123Z");
export const later = (ms: number) => new Date(now.getTime() + ms);
export const verified = { method: "email_link", by: "mailer", at: now };
export const quietly = () => [];

export const newClaim = (over: Partial<NewClaim> = {}): NewClaim => ({
  name: "email",
  value: "ana@example.com",
  source: FieldSource.USER_PROVIDED,
  confidence: 1,
  verified: undefined,
  validFrom: undefined,
  validTo: undefined,
  expiresAt: undefined,
  sessionId: "s1",
  scenarioId: "kyc",
  stepId: "ask",
  recordedBy: "tester",
  idempotencyKey: undefined,
  encrypted: false,
  retentionMs: undefined,
  ...over,
});

export interface ProfileStoreUnderTest {
  readonly store: ProfileStore;
  readonly definitions: DefinitionStore;
  /** Everything that is stored of a tenant, as text. */
  dump(tenantId: string): Promise<string>;
  /** Cuts off what is encrypted of a customer. */
  tear(customerId: string): Promise<void>;
  /** What the service got of a turn and gave up. */
  giveUp(tenantId: string, payload: Uint8Array): Promise<void>;
  /** How many of those there still are of a tenant. */
  givenUp(tenantId: string): Promise<number>;
  /** The topics that wait in the outbox for a tenant. */
  announced(tenantId: string): Promise<readonly string[]>;
}

export interface Of {
  readonly tenantId: string;
  readonly id: string;
}

/** What most of the suites do first. */
export function actsOn(open: () => ProfileStoreUnderTest) {
  const store = () => open().store;
  return {
    store,
    made: async (tenantId = newId()): Promise<Of> => {
      const { profile } = await store().getOrCreate(tenantId, Channel.WEBCHAT, newId(), now);
      return { tenantId, id: profile.id };
    },
    claim: (of: Of, over: Partial<NewClaim> = {}, at = now) =>
      store().claim(of.tenantId, of.id, newClaim(over), at, quietly),
    valueOf: async (of: Of, name = "email", at = now) =>
      jsonOf((await store().get(of.tenantId, of.id, at))?.fields[name]?.value),
  };
}

export function event(tenantId: string): Event {
  return {
    id: newId(),
    topic: "audit.event",
    tenantId,
    payload: new Uint8Array(),
    occurredAt: now,
  };
}
