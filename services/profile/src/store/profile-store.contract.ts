import type { Event } from "@soldier/events/event";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { FieldSource, VerificationLevel } from "@soldier/proto/profile/v1/profile";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import type { NewClaim } from "../domain/claim.ts";
import { jsonOf } from "../domain/messages.ts";
import type { ProfileStore } from "./profile-store.ts";

const now = new Date("2026-03-01T10:00:00.123Z");
const later = (ms: number) => new Date(now.getTime() + ms);
const verified = { method: "email_link", by: "mailer", at: now };
const quietly = () => [];

const newClaim = (over: Partial<NewClaim> = {}): NewClaim => ({
  name: "email",
  value: "ana@example.com",
  source: FieldSource.USER_PROVIDED,
  confidence: 1,
  verified: undefined,
  expiresAt: undefined,
  sessionId: "s1",
  scenarioId: "kyc",
  stepId: "ask",
  recordedBy: "tester",
  idempotencyKey: undefined,
  ...over,
});

export interface ProfileStoreUnderTest {
  readonly store: ProfileStore;
  /** The topics that wait in the outbox for a tenant. */
  announced(tenantId: string): Promise<readonly string[]>;
}

/** What every ProfileStore must do. A line here is a promise to the rest of Soldier. */
export function profileStoreContract(open: () => ProfileStoreUnderTest): void {
  const store = () => open().store;
  const made = async (tenantId = newId()) => {
    const { profile } = await store().getOrCreate(tenantId, Channel.WEBCHAT, newId(), now);
    return { tenantId, id: profile.id };
  };
  const claim = (of: { tenantId: string; id: string }, over: Partial<NewClaim> = {}, at = now) =>
    store().claim(of.tenantId, of.id, newClaim(over), at, quietly);
  const valueOf = async (of: { tenantId: string; id: string }, name = "email", at = now) =>
    jsonOf((await store().get(of.tenantId, of.id, at))?.fields[name]?.value);

  describe("getOrCreate", () => {
    it("makes a customer for a name that nobody has, and finds it again", async () => {
      const acme = newId();
      const first = await store().getOrCreate(acme, Channel.WHATSAPP, "+351910000000", now);
      expect(first).toMatchObject({
        created: true,
        profile: { version: 1n, verificationLevel: VerificationLevel.UNVERIFIED },
      });
      expect(first.profile.identities).toMatchObject([
        { channel: Channel.WHATSAPP, externalId: "+351910000000" },
      ]);
      const again = await store().getOrCreate(acme, Channel.WHATSAPP, "+351910000000", later(1));
      expect(again).toEqual({ created: false, profile: first.profile });
    });
    it("makes one customer for 50 at once", async () => {
      const acme = newId();
      const found = await Promise.all(
        Array.from({ length: 50 }, () => store().getOrCreate(acme, Channel.SLACK, "U1", now)),
      );
      expect(new Set(found.map(({ profile }) => profile.id)).size).toBe(1);
      expect(found.filter(({ created }) => created)).toHaveLength(1);
    });
    it("keeps channels and tenants apart", async () => {
      const [acme, globex] = [newId(), newId()];
      const found = await Promise.all([
        store().getOrCreate(acme, Channel.SLACK, "ana", now),
        store().getOrCreate(acme, Channel.EMAIL, "ana", now),
        store().getOrCreate(globex, Channel.SLACK, "ana", now),
      ]);
      expect(new Set(found.map(({ profile }) => profile.id)).size).toBe(3);
    });
  });

  describe("get", () => {
    it("gives undefined for a customer that was never made", async () => {
      expect(await store().get(newId(), newId(), now)).toBeUndefined();
    });
    it("hides one tenant's customer from another", async () => {
      const { id } = await made();
      expect(await store().get(newId(), id, now)).toBeUndefined();
    });
    it("gives a copy", async () => {
      const ana = await made();
      await claim(ana);
      const copy = await store().get(ana.tenantId, ana.id, now);
      if (copy) copy.fields = {};
      expect(await valueOf(ana)).toBe("ana@example.com");
    });
    it("leaves out a field that has expired", async () => {
      const ana = await made();
      await claim(ana, { expiresAt: later(1_000) });
      expect(await valueOf(ana, "email", later(999))).toBe("ana@example.com");
      expect(await valueOf(ana, "email", later(1_000))).toBeUndefined();
    });
    it("tells how far the customer is verified by the fields that stand", async () => {
      const ana = await made();
      await claim(ana, { verified, expiresAt: later(1_000) });
      const level = async (at: Date) =>
        (await store().get(ana.tenantId, ana.id, at))?.verificationLevel;
      expect(await level(now)).toBe(VerificationLevel.EMAIL_VERIFIED);
      expect(await level(later(1_000))).toBe(VerificationLevel.UNVERIFIED);
    });
  });

  describe("list", () => {
    it("gives every customer of the tenant once, the latest first, to the last page", async () => {
      const acme = newId();
      const ids: string[] = [];
      for (let i = 0; i < 7; i++) ids.push((await made(acme)).id);
      await made();
      const seen: string[] = [];
      let next: string | undefined;
      do {
        const page = await store().list(acme, 3, next, now);
        expect(page.items.length).toBeLessThanOrEqual(3);
        seen.push(...page.items.map(({ id }) => id));
        next = page.next;
      } while (next !== undefined);
      expect(seen).toEqual(ids.toReversed());
    });
    it("gives an empty page to a tenant without customers", async () => {
      expect(await store().list(newId(), 3, undefined, now)).toEqual({
        items: [],
        next: undefined,
      });
    });
  });

  describe("claim", () => {
    it("stores a value with everything that is known of where it came from", async () => {
      const ana = await made();
      const given = newClaim({ verified, expiresAt: later(1_000), idempotencyKey: "k" });
      const claimed = await store().claim(ana.tenantId, ana.id, given, now, quietly);
      expect(claimed).toMatchObject({
        claim: { ...given, outcome: "applied", recordedAt: now, version: 2 },
        standing: { pending: [] },
        repeated: false,
      });
      const profile = await store().get(ana.tenantId, ana.id, now);
      expect(profile?.version).toBe(2n);
      expect(profile?.fields["email"]).toMatchObject({
        name: "email",
        source: FieldSource.USER_PROVIDED,
        sessionId: "s1",
        scenarioId: "kyc",
        stepId: "ask",
        confidence: 1,
        recordedBy: "tester",
        verification: { method: "email_link", by: "mailer" },
      });
    });
    it.each([null, true, 0, -1.5, "", "ü\n", [1, ["a"]], { a: { b: null } }])(
      "keeps %j as it is",
      async (value) => {
        const ana = await made();
        await claim(ana, { value });
        expect(await valueOf(ana)).toEqual(value);
      },
    );
    it("keeps a weaker word against a verified value as pending", async () => {
      const ana = await made();
      await claim(ana, { verified });
      const weaker = { value: "other@example.com", source: FieldSource.LLM_EXTRACTED };
      const claimed = await claim(ana, weaker);
      expect(claimed?.claim.outcome).toBe("pending");
      const field = (await store().get(ana.tenantId, ana.id, now))?.fields["email"];
      expect(jsonOf(field?.value)).toBe("ana@example.com");
      expect(field?.pending.map(({ value }) => jsonOf(value))).toEqual(["other@example.com"]);
    });
    it("shows each pending value once, the latest first, until another value is applied", async () => {
      const ana = await made();
      await claim(ana, { verified });
      for (const value of ["a", "b", "a"]) await claim(ana, { value });
      const pending = async () =>
        (await store().get(ana.tenantId, ana.id, now))?.fields["email"]?.pending.map(({ value }) =>
          jsonOf(value),
        );
      expect(await pending()).toEqual(["a", "b"]);
      await claim(ana, { value: "b", verified });
      expect(await pending()).toEqual([]);
    });
    it("lets any word take the place of a verified value that has expired", async () => {
      const ana = await made();
      await claim(ana, { verified, expiresAt: later(1_000) });
      const claimed = await claim(ana, { value: "new@example.com" }, later(1_000));
      expect(claimed?.claim.outcome).toBe("applied");
    });
    it("takes the same key as the same claim", async () => {
      const ana = await made();
      const once = { idempotencyKey: "k" };
      const first = await claim(ana, once);
      const again = await claim(ana, once, later(1));
      expect(again).toEqual({ ...first, repeated: true });
      expect((await store().get(ana.tenantId, ana.id, now))?.version).toBe(2n);
    });
    it("tells what came of a repeated claim then, and how the field stands now", async () => {
      const ana = await made();
      await claim(ana, { idempotencyKey: "k" });
      await claim(ana, { value: "new@example.com" });
      const again = await claim(ana, { idempotencyKey: "k" });
      expect(again).toMatchObject({
        repeated: true,
        claim: { outcome: "applied", value: "ana@example.com" },
        standing: { holding: { value: "new@example.com" } },
      });
    });
    it("refuses a key that came with another value", async () => {
      const ana = await made();
      await claim(ana, { idempotencyKey: "k" });
      await expect(claim(ana, { idempotencyKey: "k", value: "x" })).rejects.toMatchObject({
        reason: "IDEMPOTENCY_KEY_REUSED",
      });
    });
    it("loses none of many at once", async () => {
      const ana = await made();
      await Promise.all(Array.from({ length: 20 }, (_, i) => claim(ana, { value: i })));
      const page = await store().history(ana.tenantId, ana.id, "email", 50, undefined);
      expect(page.items.map(({ value }) => value)).toHaveLength(20);
      expect((await store().get(ana.tenantId, ana.id, now))?.version).toBe(21n);
      expect(await valueOf(ana)).toBe(page.items[0]?.value);
    });
    it("writes nothing for a customer of another tenant", async () => {
      const ana = await made();
      const globex = { tenantId: newId(), id: ana.id };
      expect(await claim(globex)).toBeUndefined();
      expect(await valueOf(ana)).toBeUndefined();
    });
    it("announces what it stored, once, with it", async () => {
      const ana = await made();
      const announce = (): readonly Event[] => [event(ana.tenantId)];
      const given = newClaim({ idempotencyKey: "k" });
      await store().claim(ana.tenantId, ana.id, given, now, announce);
      await store().claim(ana.tenantId, ana.id, given, now, announce);
      await store().claim(ana.tenantId, newId(), given, now, announce);
      expect(await open().announced(ana.tenantId)).toEqual(["audit.event"]);
      const failing = () => {
        throw new Error("nothing to say");
      };
      const refused = store().claim(ana.tenantId, ana.id, newClaim({ value: 2 }), now, failing);
      await expect(refused).rejects.toThrow("nothing to say");
      expect(await valueOf(ana)).toBe("ana@example.com");
    });
  });

  describe("claimOnce", () => {
    it("stores all claims of an event, however often it is delivered", async () => {
      const ana = await made();
      const delivered = { id: newId() };
      const claims = [newClaim(), newClaim({ name: "name", value: "Ana" }), newClaim({ value: 2 })];
      const all = await Promise.all(
        Array.from({ length: 4 }, () =>
          store().claimOnce(delivered, ana.tenantId, ana.id, claims, now),
        ),
      );
      expect(all.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 3]);
      expect(await valueOf(ana)).toBe(2);
      expect(await valueOf(ana, "name")).toBe("Ana");
      expect((await store().get(ana.tenantId, ana.id, now))?.version).toBe(4n);
    });
    it("is done with an event of a customer that is not there", async () => {
      const { tenantId } = await made();
      expect(
        await store().claimOnce({ id: newId() }, tenantId, newId(), [newClaim()], now),
      ).toEqual([]);
    });
  });

  describe("history", () => {
    it("gives every value that the field has had, the latest first, to the last page", async () => {
      const ana = await made();
      for (let i = 0; i < 5; i++) await claim(ana, { value: i }, later(i));
      await claim(ana, { name: "name", value: "Ana" });
      const seen: unknown[] = [];
      let next: string | undefined;
      do {
        const page = await store().history(ana.tenantId, ana.id, "email", 2, next);
        seen.push(...page.items.map(({ value }) => value));
        next = page.next;
      } while (next !== undefined);
      expect(seen).toEqual([4, 3, 2, 1, 0]);
    });
    it("leaves out what never held", async () => {
      const ana = await made();
      await claim(ana, { verified });
      await claim(ana, { value: "pending" });
      await claim(ana);
      const { items } = await store().history(ana.tenantId, ana.id, "email", 9, undefined);
      expect(items.map(({ value }) => value)).toEqual(["ana@example.com"]);
    });
    it("is empty for another tenant", async () => {
      const ana = await made();
      await claim(ana);
      expect((await store().history(newId(), ana.id, "email", 9, undefined)).items).toEqual([]);
    });
  });

  describe("link", () => {
    const identity = () => ({ channel: Channel.EMAIL, externalId: newId() });
    it("gives an identity to a customer, who is found by it from then on", async () => {
      const ana = await made();
      const email = identity();
      expect(await store().link(ana.tenantId, ana.id, email, later(1), quietly)).toBe("linked");
      const { channel, externalId } = email;
      const found = await store().getOrCreate(ana.tenantId, channel, externalId, now);
      expect(found).toMatchObject({ created: false, profile: { id: ana.id, version: 2n } });
      expect(found.profile.identities.map(({ linkedAt }) => time(linkedAt))).toEqual([
        now,
        later(1),
      ]);
      expect(await store().link(ana.tenantId, ana.id, email, later(2), quietly)).toBe("there");
    });
    it("gives it to one of many at once", async () => {
      const acme = newId();
      const email = identity();
      const customers = await Promise.all(Array.from({ length: 8 }, () => made(acme)));
      const outcomes = await Promise.all(
        customers.map(({ id }) => store().link(acme, id, email, now, quietly)),
      );
      expect(outcomes.filter((outcome) => outcome === "linked")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === "taken")).toHaveLength(7);
    });
    it("does nothing for a customer of another tenant", async () => {
      const ana = await made();
      expect(await store().link(newId(), ana.id, identity(), now, quietly)).toBe("absent");
    });
    it("announces only what it has linked", async () => {
      const ana = await made();
      const announce = (): readonly Event[] => [event(ana.tenantId)];
      const email = identity();
      for (let i = 0; i < 2; i++) await store().link(ana.tenantId, ana.id, email, now, announce);
      expect(await open().announced(ana.tenantId)).toEqual(["audit.event"]);
    });
  });

  describe("consent", () => {
    const given = { purpose: "marketing", granted: true, evidence: "checkbox", recordedBy: "ana" };
    it("lets the last word on each purpose count", async () => {
      const ana = await made();
      const say = (granted: boolean, validFrom: Date, purpose = "marketing") =>
        store().consent(
          ana.tenantId,
          ana.id,
          { ...given, granted, purpose, validFrom },
          later(10),
          quietly,
        );
      await say(true, now);
      await say(true, now, "model_processing");
      const consents = await say(false, later(1));
      expect(consents?.map(({ purpose, granted }) => [purpose, granted])).toEqual([
        ["marketing", false],
        ["model_processing", true],
      ]);
      await say(true, later(20)); // not in force yet
      const profile = await store().get(ana.tenantId, ana.id, later(19));
      expect(profile?.consents).toMatchObject([{ granted: false }, { granted: true }]);
      const after = await store().get(ana.tenantId, ana.id, later(20));
      expect(after?.consents[0]?.granted).toBe(true);
    });
    it("adds the same word from the same time once, and announces it once", async () => {
      const ana = await made();
      const announce = (): readonly Event[] => [event(ana.tenantId)];
      for (let i = 0; i < 2; i++)
        await store().consent(ana.tenantId, ana.id, { ...given, validFrom: now }, now, announce);
      expect((await store().get(ana.tenantId, ana.id, now))?.version).toBe(2n);
      expect(await open().announced(ana.tenantId)).toEqual(["audit.event"]);
    });
    it("is undefined for a customer of another tenant", async () => {
      const ana = await made();
      const consent = { ...given, validFrom: now };
      expect(await store().consent(newId(), ana.id, consent, now, quietly)).toBeUndefined();
    });
  });
}

function event(tenantId: string): Event {
  return {
    id: newId(),
    topic: "audit.event",
    tenantId,
    payload: new Uint8Array(),
    occurredAt: now,
  };
}

function time(at: Timestamp | undefined): Date | undefined {
  return at && timestampDate(at);
}
