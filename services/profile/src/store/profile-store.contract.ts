import type { Event } from "@soldier/events/event";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { TurnCommittedSchema } from "@soldier/proto/events/v1/events";
import { FieldSource, VerificationLevel } from "@soldier/proto/profile/v1/profile";
import { create, toBinary } from "@bufbuild/protobuf";
import { FieldDefinitionSchema } from "@soldier/proto/config/v1/tool";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NewClaim } from "../domain/claim.ts";
import { jsonOf } from "../domain/messages.ts";
import type { DefinitionStore } from "./definitions.ts";
import type { NewAsset, NewErasure, ProfileStore } from "./profile-store.ts";

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
        damaged: [],
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
        claim: { value: given.value, verified, outcome: "applied", recordedAt: now, version: 2 },
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
      const page = await store().history(
        ana.tenantId,
        ana.id,
        "email",
        50,
        undefined,
        later(1_000),
      );
      expect(page.items.map(({ claim: { value } }) => value)).toHaveLength(20);
      expect((await store().get(ana.tenantId, ana.id, now))?.version).toBe(21n);
      expect(await valueOf(ana)).toBe(page.items[0]?.claim.value);
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
        const page = await store().history(ana.tenantId, ana.id, "email", 2, next, later(1_000));
        seen.push(...page.items.map(({ claim: { value } }) => value));
        next = page.next;
      } while (next !== undefined);
      expect(seen).toEqual([4, 3, 2, 1, 0]);
    });
    it("leaves out what never held", async () => {
      const ana = await made();
      await claim(ana, { verified });
      await claim(ana, { value: "pending" });
      await claim(ana);
      const { items } = await store().history(
        ana.tenantId,
        ana.id,
        "email",
        9,
        undefined,
        later(1_000),
      );
      expect(items.map(({ claim: { value } }) => value)).toEqual(["ana@example.com"]);
    });
    it("is empty for another tenant", async () => {
      const ana = await made();
      await claim(ana);
      expect((await store().history(newId(), ana.id, "email", 9, undefined, now)).items).toEqual(
        [],
      );
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

  describe("times", () => {
    const read = async (of: Of, asOf: { valid?: Date; recorded?: Date }) => {
      const { valid, recorded } = asOf;
      return store().get(of.tenantId, of.id, later(100_000), { valid, recorded });
    };
    const valueAt = async (of: Of, asOf: { valid?: Date; recorded?: Date }) =>
      jsonOf((await read(of, asOf))?.fields["email"]?.value);

    it("tell what was true then, and what was known of it then", async () => {
      const ana = await made();
      await claim(ana, { value: "paris", validFrom: later(0) }, later(1));
      await claim(ana, { value: "rome", validFrom: later(200) }, later(300));
      await claim(ana, { value: "london", validFrom: later(100) }, later(400)); // late news
      expect(await valueAt(ana, { valid: later(150) })).toBe("london");
      expect(await valueAt(ana, { valid: later(150), recorded: later(350) })).toBe("paris");
      expect(await valueAt(ana, { valid: later(250) })).toBe("rome");
      expect(await valueAt(ana, { valid: later(250), recorded: later(250) })).toBe("paris");
      expect(await valueAt(ana, { recorded: now })).toBeUndefined();
    });
    it("let what was true for a while mask what goes on", async () => {
      const ana = await made();
      await claim(ana, { value: "home" });
      await claim(ana, { value: "hotel", validFrom: later(100), validTo: later(200) }, later(5));
      const seen = [];
      for (const ms of [50, 100, 199, 200]) seen.push(await valueAt(ana, { valid: later(ms) }));
      expect(seen).toEqual(["home", "hotel", "hotel", "home"]);
      const { items } = await store().history(
        ana.tenantId,
        ana.id,
        "email",
        9,
        undefined,
        later(900),
      );
      expect(items.map(({ claim: { value }, from, to }) => [value, from, to])).toEqual([
        ["home", later(200), undefined],
        ["hotel", later(100), later(200)],
        ["home", now, later(100)],
      ]);
    });
    it("never go back: what is recorded later is recorded at a later time", async () => {
      const ana = await made();
      const times: number[] = [];
      for (const ms of [1_000, 500, 500]) {
        const claimed = await claim(ana, { value: ms + times.length }, later(ms));
        times.push(claimed?.claim.recordedAt.getTime() ?? 0);
      }
      expect(times.toSorted((a, b) => a - b)).toEqual(times);
      expect(new Set(times).size).toBe(3);
      expect(await valueOf(ana, "email", now)).toBe(502);
    });
    it("are kept of consents", async () => {
      const ana = await made();
      const given = { purpose: "marketing", evidence: "", recordedBy: "ana", validFrom: undefined };
      const say = (granted: boolean, at: Date) =>
        store().consent(ana.tenantId, ana.id, { ...given, granted }, at, quietly);
      await say(true, later(100));
      await say(false, later(200));
      const granted = async (asOf: { valid?: Date; recorded?: Date }) =>
        (await read(ana, asOf))?.consents.map((one) => one.granted);
      expect(await granted({})).toEqual([false]);
      expect(await granted({ valid: later(150) })).toEqual([true]);
      expect(await granted({ recorded: later(150) })).toEqual([true]);
      expect(await granted({ valid: later(50) })).toEqual([]);
    });
    it("change nothing when all is made to follow from the claims again", async () => {
      const ana = await made();
      for (const ms of [5, 1, 9]) await claim(ana, { value: ms, validFrom: later(ms) }, later(ms));
      const before = await versionsOf(ana);
      await store().rebuild(ana.tenantId, ana.id, later(50));
      expect(await versionsOf(ana)).toEqual(before);
    });
    const versionsOf = async (of: Of) => {
      const all = await store().history(of.tenantId, of.id, "email", 99, undefined, later(999));
      return all.items;
    };
  });

  describe("unlink", () => {
    const email = () => ({ channel: Channel.EMAIL, externalId: newId() });
    it("makes an identity nobody's, and keeps whose it was", async () => {
      const ana = await made();
      const identity = email();
      await store().link(ana.tenantId, ana.id, identity, later(10), quietly);
      const unlink = () => store().unlink(ana.tenantId, ana.id, identity, later(20), quietly);
      expect(await unlink()).toBe("unlinked");
      expect(await unlink()).toBe("not-linked");
      const names = async (asOf?: { valid?: Date; recorded?: Date }) => {
        const point = { valid: asOf?.valid, recorded: asOf?.recorded };
        const profile = await store().get(ana.tenantId, ana.id, later(30), point);
        return profile?.identities.some(({ channel }) => channel === Channel.EMAIL);
      };
      expect(await names()).toBe(false);
      expect(await names({ valid: later(15) })).toBe(true);
      expect(await names({ recorded: later(15) })).toBe(true);
      expect(await names({ recorded: later(5) })).toBe(false);
      const { channel, externalId } = identity;
      const next = await store().getOrCreate(ana.tenantId, channel, externalId, later(15));
      expect(next.created).toBe(true);
      expect(time(next.profile.identities[0]?.linkedAt)?.getTime()).toBeGreaterThanOrEqual(
        later(20).getTime(),
      );
    });
    it("does not take another's, nor another tenant's", async () => {
      const ana = await made();
      const bob = await made(ana.tenantId);
      const identity = email();
      await store().link(ana.tenantId, ana.id, identity, now, quietly);
      const by = (tenantId: string, id: string) =>
        store().unlink(tenantId, id, identity, later(1), quietly);
      expect(await by(ana.tenantId, bob.id)).toBe("not-linked");
      expect(await by(newId(), ana.id)).toBe("absent");
    });
    it("moves an identity to one of many who want it, when it may be moved", async () => {
      const acme = newId();
      const identity = email();
      const all = await Promise.all(Array.from({ length: 5 }, () => made(acme)));
      await Promise.all(
        all.map(({ id }) => store().link(acme, id, identity, later(1), quietly, true)),
      );
      const profiles = await Promise.all(all.map(({ id }) => store().get(acme, id, later(99))));
      const having = profiles.filter((one) =>
        one?.identities.some(({ channel }) => channel === Channel.EMAIL),
      );
      expect(having).toHaveLength(1);
    });
  });

  describe("merge", () => {
    const evidence = "same passport";
    const merge = (tenantId: string, from: string, into: string, at = later(1_000)) =>
      store().merge(
        tenantId,
        { fromId: from, intoId: into, mergedBy: "olga", evidence },
        at,
        quietly,
      );
    const merged = async (tenantId: string, from: string, into: string, at = later(1_000)) => {
      const done = await merge(tenantId, from, into, at);
      if (done.kind !== "merged") throw new Error("there are no such customers");
      return done.mergeId;
    };
    const unmerge = (tenantId: string, mergeId: string, at = later(2_000)) =>
      store().unmerge(tenantId, mergeId, "olga", at, quietly);
    /** All that a customer is, without what counts its changes. */
    const stateOf = async (of: Of, at = later(9_000)) => {
      const profile = await store().get(of.tenantId, of.id, at);
      return profile && { ...profile, version: 0n, meta: undefined };
    };
    const two = async () => {
      const ana = await made();
      return [ana, await made(ana.tenantId)] as const;
    };

    it("answers both ids with one customer, who has what was said of either", async () => {
      const [ana, bob] = await two();
      await claim(ana, { name: "name", value: "Ana" }, later(1));
      await claim(ana, { value: "old@example.com" }, later(2));
      await claim(bob, { value: "new@example.com" }, later(3));
      await merged(ana.tenantId, ana.id, bob.id);
      const [byOne, byOther] = [await stateOf(ana), await stateOf(bob)];
      expect(byOne).toEqual(byOther);
      expect(byOne).toMatchObject({ id: bob.id, aliasIds: [ana.id] });
      expect(byOne?.identities).toHaveLength(2);
      expect(jsonOf(byOne?.fields["name"]?.value)).toBe("Ana");
      expect(byOne?.fields["name"]?.customerId).toBe(ana.id);
      expect(jsonOf(byOne?.fields["email"]?.value)).toBe("new@example.com");
      const found = await store().list(ana.tenantId, 9, undefined, later(9_000));
      expect(found.items.map(({ id }) => id)).toEqual([bob.id]);
    });
    it("keeps a verified value against the other's later word", async () => {
      const [ana, bob] = await two();
      await claim(ana, { value: "ana@example.com", verified }, later(1));
      await claim(bob, { value: "bob@example.com" }, later(2));
      await merged(ana.tenantId, ana.id, bob.id);
      const field = (await stateOf(bob))?.fields["email"];
      expect(jsonOf(field?.value)).toBe("ana@example.com");
      expect(field?.pending.map(({ value }) => jsonOf(value))).toEqual(["bob@example.com"]);
    });
    it("is undone exactly", async () => {
      const [ana, bob] = await two();
      await claim(ana, { value: "a", verified }, later(1));
      await claim(bob, { value: "b", encrypted: true }, later(2));
      await claim(bob, { name: "name", value: "Bob" }, later(3));
      const before = [await stateOf(ana), await stateOf(bob)];
      const mergeId = await merged(ana.tenantId, ana.id, bob.id);
      expect(await stateOf(ana)).not.toEqual(before[0]);
      expect(await unmerge(ana.tenantId, mergeId)).toMatchObject({ repeated: false });
      expect([await stateOf(ana), await stateOf(bob)]).toEqual(before);
      expect(await unmerge(ana.tenantId, mergeId)).toMatchObject({ repeated: true });
    });
    it("is undone exactly whatever was said, merged and unmerged before, in any order", async () => {
      const act = fc.oneof(
        fc.record({
          kind: fc.constant("say" as const),
          who: fc.constantFrom(0, 1, 2),
          value: fc.constantFrom("a", "b"),
          isVerified: fc.boolean(),
          from: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
        }),
        fc.record({
          kind: fc.constant("merge" as const),
          from: fc.constantFrom(0, 1, 2),
          into: fc.constantFrom(0, 1, 2),
        }),
        fc.record({ kind: fc.constant("unmerge" as const), which: fc.nat(9) }),
      );
      const say = async (tenantId: string, ids: readonly string[], one: Drawn<typeof act>) => {
        if (one.kind !== "say") return;
        const { who, value, isVerified, from } = one;
        const over = {
          value,
          verified: isVerified ? verified : undefined,
          validFrom: from === undefined ? undefined : later(from),
        };
        await claim({ tenantId, id: ids[who] ?? "" }, over, later(100));
      };
      const beliefs = async (tenantId: string, ids: readonly string[]) =>
        Promise.all(
          ids.map(async (id) => {
            const page = await store().history(tenantId, id, "email", 99, undefined, later(9_999));
            return page.items.map(({ claim: { value }, from, to }) => [
              value,
              from.getTime() <= later(9).getTime() ? from : "",
              to && to.getTime() <= later(9).getTime() ? to : "",
            ]);
          }),
        );
      await fc.assert(
        fc.asyncProperty(fc.array(act, { maxLength: 12 }), async (acts) => {
          const [tenantId, plain] = [newId(), newId()];
          const ids = (await Promise.all([0, 1, 2].map(() => made(tenantId)))).map(({ id }) => id);
          const others = (await Promise.all([0, 1, 2].map(() => made(plain)))).map(({ id }) => id);
          const merges: string[] = [];
          for (const one of acts) {
            await say(tenantId, ids, one);
            await say(plain, others, one);
            if (one.kind === "merge" && one.from !== one.into)
              await merged(tenantId, ids[one.from] ?? "", ids[one.into] ?? "").then(
                (id) => merges.push(id),
                () => undefined, // a circle, or an alias: refused
              );
            const undone = one.kind === "unmerge" ? merges[one.which % merges.length] : undefined;
            if (undone) await unmerge(tenantId, undone);
          }
          for (const id of merges.toReversed()) await unmerge(tenantId, id);
          expect(await beliefs(tenantId, ids)).toEqual(await beliefs(plain, others));
        }),
        { numRuns: 20 },
      );
    });
    it("leaves what is said meanwhile with whom it is said about", async () => {
      const [ana, bob] = await two();
      await claim(ana, { value: "a" }, later(1));
      const mergeId = await merged(ana.tenantId, ana.id, bob.id);
      await claim(ana, { value: "of ana" }, later(1_500));
      await claim(bob, { value: "of bob" }, later(1_600));
      await store().link(
        ana.tenantId,
        ana.id,
        { channel: Channel.EMAIL, externalId: "ana" },
        later(1_700),
        quietly,
      );
      expect(await valueOf(ana, "email", later(1_900))).toBe("of bob");
      await unmerge(ana.tenantId, mergeId);
      expect(await valueOf(ana, "email", later(9_000))).toBe("of ana");
      expect(await valueOf(bob, "email", later(9_000))).toBe("of bob");
      expect((await stateOf(ana))?.identities).toHaveLength(2);
      expect((await stateOf(bob))?.identities).toHaveLength(1);
    });
    it("is known as it was at each time", async () => {
      const [ana, bob] = await two();
      await claim(ana, { value: "a" }, later(1));
      await claim(bob, { value: "b" }, later(2));
      const mergeId = await merged(ana.tenantId, ana.id, bob.id, later(1_000));
      await unmerge(ana.tenantId, mergeId, later(2_000));
      const idAt = async (ms: number) => {
        const point = { valid: undefined, recorded: later(ms) };
        return (await store().get(ana.tenantId, ana.id, later(9_000), point))?.id;
      };
      expect([await idAt(500), await idAt(1_500), await idAt(2_500)]).toEqual([
        ana.id,
        bob.id,
        ana.id,
      ]);
    });
    it("lets the stricter consent count, until something is said of both", async () => {
      const [ana, bob] = await two();
      const say = (of: Of, granted: boolean, at: Date, purpose = "marketing") =>
        store().consent(
          of.tenantId,
          of.id,
          { purpose, granted, evidence: "", recordedBy: "ana", validFrom: undefined },
          at,
          quietly,
        );
      await say(ana, false, later(1));
      await say(bob, true, later(2));
      await say(bob, true, later(3), "model_processing");
      const granted = async (of: Of) =>
        (await stateOf(of))?.consents.map((one) => [one.purpose, one.granted]);
      const mergeId = await merged(ana.tenantId, ana.id, bob.id);
      expect(await granted(bob)).toEqual([
        ["marketing", false],
        ["model_processing", true],
      ]);
      await say(bob, true, later(1_500));
      expect((await granted(ana))?.[0]).toEqual(["marketing", true]);
      await unmerge(ana.tenantId, mergeId);
      expect(await granted(ana)).toEqual([["marketing", false]]);
    });
    it("goes one way when many try both at once, and never in a circle", async () => {
      const acme = newId();
      const all = await Promise.all(Array.from({ length: 3 }, () => made(acme)));
      const pairs = all.flatMap((a) =>
        all.flatMap((b) => (a === b ? [] : [[a.id, b.id] as const])),
      );
      const done = await Promise.allSettled(
        [...pairs, ...pairs].map(([from, into]) => merge(acme, from, into)),
      );
      const refusals = done.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
      for (const refusal of refusals)
        expect(refusal).toMatchObject({ kind: "conflict", reason: "CUSTOMER_MERGED" });
      const roots = await Promise.all(all.map(({ id }) => store().get(acme, id, later(9_000))));
      expect(new Set(roots.map((one) => one?.id)).size).toBe(1);
      expect(roots[0]?.aliasIds).toHaveLength(2);
    });
    it("loses no claim that comes while customers are merged and unmerged", async () => {
      const [ana, bob] = await two();
      const claiming = Array.from({ length: 12 }, (_, i) =>
        claim(i % 2 ? ana : bob, { name: `f${i}`, value: i }, later(5)),
      );
      const mergeId = await merged(ana.tenantId, ana.id, bob.id);
      await Promise.all(claiming);
      const both = await stateOf(bob);
      expect(Object.keys(both?.fields ?? {})).toHaveLength(12);
      await unmerge(ana.tenantId, mergeId);
      expect(Object.keys((await stateOf(ana))?.fields ?? {})).toHaveLength(6);
    });
    it("goes on over several, and each is undone by itself", async () => {
      const [ana, bob] = await two();
      const eve = await made(ana.tenantId);
      await claim(ana, { value: "a" }, later(1));
      const first = await merged(ana.tenantId, ana.id, bob.id, later(1_000));
      await merged(ana.tenantId, bob.id, eve.id, later(1_100));
      expect((await stateOf(ana))?.id).toBe(eve.id);
      await unmerge(ana.tenantId, first);
      expect((await stateOf(ana))?.id).toBe(ana.id);
      expect(await stateOf(bob)).toMatchObject({ id: eve.id, aliasIds: [bob.id] });
      expect(await valueOf(eve, "email", later(9_000))).toBeUndefined();
    });
    it("repeated changes nothing, and is refused when it says something else", async () => {
      const [ana, bob] = await two();
      const eve = await made(ana.tenantId);
      const mergeId = await merged(ana.tenantId, ana.id, bob.id);
      expect(await merge(ana.tenantId, ana.id, bob.id)).toMatchObject({ mergeId, repeated: true });
      for (const [from, into] of [
        [bob.id, ana.id],
        [ana.id, eve.id],
      ] as const)
        await expect(merge(ana.tenantId, from, into)).rejects.toMatchObject({
          reason: "CUSTOMER_MERGED",
        });
    });
    it("keeps tenants apart", async () => {
      const [ana, bob] = [await made(), await made()];
      expect(await merge(ana.tenantId, ana.id, bob.id)).toEqual({
        kind: "absent",
        customerId: bob.id,
      });
      const [eve, joe] = await two();
      const mergeId = await merged(eve.tenantId, eve.id, joe.id);
      expect(await unmerge(ana.tenantId, mergeId)).toEqual({ kind: "absent" });
    });
  });

  describe("assets", () => {
    const asset = (over: Partial<NewAsset> = {}): NewAsset => ({
      kind: "passport",
      uri: "s3://files/1",
      checksum: new Uint8Array(32).fill(7),
      mediaType: "image/png",
      sizeBytes: 9_007_199_254_740_993n,
      source: FieldSource.USER_PROVIDED,
      sessionId: "s1",
      recordedBy: "olga",
      ...over,
    });
    const add = (of: Of, over: Partial<NewAsset> = {}) =>
      store().addAsset(of.tenantId, of.id, asset(over), now, quietly);

    it("are kept as they are told, the same once", async () => {
      const ana = await made();
      const added = await add(ana);
      const { recordedBy: by, ...told } = asset();
      expect(added).toMatchObject({ ...told, recordedBy: by, customerId: ana.id });
      expect(await add(ana)).toEqual(added);
      expect((await store().assets(ana.tenantId, ana.id, 9, undefined)).items).toEqual([added]);
    });
    it("are given to the last page, the latest first, of all whom the customer stands for", async () => {
      const ana = await made();
      const bob = await made(ana.tenantId);
      for (let i = 0; i < 5; i++) await add(i % 2 ? ana : bob, { uri: `s3://files/${i}` });
      const merge = { fromId: ana.id, intoId: bob.id, mergedBy: "", evidence: "" };
      await store().merge(ana.tenantId, merge, now, quietly);
      const seen: string[] = [];
      let next: string | undefined;
      do {
        const page = await store().assets(ana.tenantId, ana.id, 2, next);
        seen.push(...page.items.map(({ uri }) => uri.slice(-1)));
        next = page.next;
      } while (next !== undefined);
      expect(seen).toEqual(["4", "3", "2", "1", "0"]);
    });
    it("are hidden from other tenants", async () => {
      const ana = await made();
      await add(ana);
      expect(await add({ tenantId: newId(), id: ana.id })).toBeUndefined();
      expect((await store().assets(newId(), ana.id, 9, undefined)).items).toEqual([]);
    });
  });

  describe("eraseOrigin", () => {
    const erase = ({ tenantId }: { tenantId: string }, sessionId: string, dryRun = false) =>
      store().eraseOrigin(tenantId, { sessionId, dryRun }, later(5_000));

    it("removes what was told in a session, at any time, and lets what is left hold", async () => {
      const ana = await made();
      await claim(ana, { value: "first@example.com", sessionId: "s1" }, later(1));
      await claim(ana, { value: "canary@example.com", sessionId: "s2" }, later(2));
      await claim(ana, { name: "name", value: "canary", sessionId: "s2" }, later(2));
      const counts = { fields: 2, claims: 2, assets: 0 };
      expect(await erase(ana, "s2", true)).toEqual(counts);
      expect(await valueOf(ana, "email", later(9_000))).toBe("canary@example.com");
      expect(await erase(ana, "s2")).toEqual(counts);
      expect(await valueOf(ana, "email", later(9_000))).toBe("first@example.com");
      expect(await valueOf(ana, "name", later(9_000))).toBeUndefined();
      expect(await open().dump(ana.tenantId)).not.toContain("canary");
      expect(await erase(ana, "s2")).toEqual({ fields: 0, claims: 0, assets: 0 });
    });
    it("leaves other tenants' sessions of the same name", async () => {
      const [ana, other] = [await made(), await made()];
      await claim(other, { sessionId: "s1" });
      await erase(ana, "s1");
      expect(await valueOf(other, "email", later(9_000))).toBe("ana@example.com");
    });
    it("removes what was given up of the session, and what nobody can read", async () => {
      const [ana, other] = [await made(), await made()];
      const kept = turnOf({ sessionId: "s2" });
      for (const payload of [turnOf({ sessionId: "s1" }), kept, kept.slice(0, -1)])
        await open().giveUp(ana.tenantId, payload);
      await open().giveUp(other.tenantId, turnOf({ sessionId: "s1" }));
      await erase(ana, "s1", true);
      expect(await open().givenUp(ana.tenantId)).toBe(3);
      expect(await erase(ana, "s1")).toMatchObject({ dead_letters: 2, unreadable_letters: 1 });
      expect(await open().givenUp(ana.tenantId)).toBe(1);
      expect(await open().givenUp(other.tenantId)).toBe(1);
    });
  });

  describe("erase", () => {
    const erase = (of: Of, over: Partial<NewErasure> = {}, at = later(5_000)) =>
      store().erase(
        of.tenantId,
        { customerId: of.id, erasedBy: "olga", dryRun: false, ...over },
        at,
        () => [event(of.tenantId)],
      );
    const full = async () => {
      const ana = await made();
      const bob = await made(ana.tenantId);
      await claim(ana, { value: "canary one", encrypted: true }, later(1));
      await claim(ana, { name: "name", value: "canary two", verified }, later(2));
      await claim(bob, { name: "name", value: "canary three" }, later(3));
      const word = { purpose: "marketing", granted: true, evidence: "canary", recordedBy: "ana" };
      await store().consent(
        ana.tenantId,
        ana.id,
        { ...word, validFrom: undefined },
        later(4),
        quietly,
      );
      await store().addAsset(
        ana.tenantId,
        ana.id,
        {
          kind: "passport",
          uri: "s3://canary",
          checksum: new Uint8Array(32),
          mediaType: "a/b",
          sizeBytes: 1n,
          source: FieldSource.USER_PROVIDED,
          sessionId: "",
          recordedBy: "",
        },
        later(5),
        quietly,
      );
      const merge = { fromId: ana.id, intoId: bob.id, mergedBy: "olga", evidence: "canary" };
      await store().merge(ana.tenantId, merge, later(6), quietly);
      return { ana, bob };
    };
    const counts = {
      customers: 2,
      fields: 2,
      claims: 3,
      identities: 2,
      consents: 1,
      assets: 1,
      keys: 1,
    };

    it("removes a customer with every alias, at every time, and says how much that was", async () => {
      const { ana, bob } = await full();
      expect(await open().dump(ana.tenantId)).toContain("canary");
      const erased = await erase(ana);
      expect(erased).toMatchObject({ counts, repeated: false });
      expect(erased?.customerIds.toSorted()).toEqual([ana.id, bob.id].toSorted());
      expect(erased?.certificate?.id).toBeDefined();
      for (const { tenantId, id } of [ana, bob])
        for (const recorded of [undefined, later(3), later(10)])
          expect(
            await store().get(tenantId, id, later(9_000), { valid: undefined, recorded }),
          ).toBeUndefined();
      expect((await store().list(ana.tenantId, 9, undefined, now)).items).toEqual([]);
      expect(await open().dump(ana.tenantId)).not.toContain("canary");
    });
    it("is the same again, with nothing more to remove, by any of the ids", async () => {
      const { ana, bob } = await full();
      const first = await erase(ana);
      const again = await erase(bob, {}, later(6_000));
      expect(again?.certificate).toEqual(first?.certificate);
      expect(again).toMatchObject({ customerIds: first?.customerIds, repeated: true });
      expect(new Set(Object.values(again?.counts ?? {}))).toEqual(new Set([0]));
      expect(await open().announced(ana.tenantId)).toEqual(["audit.event"]);
    });
    it("only counts when it is tried", async () => {
      const { ana } = await full();
      expect(await erase(ana, { dryRun: true })).toMatchObject({ counts, certificate: undefined });
      expect(await valueOf(ana, "name", later(9_000))).toBe("canary two");
      expect(await open().announced(ana.tenantId)).toEqual([]);
    });
    it("refuses what comes late, and lets a name be somebody new's", async () => {
      const ana = await made();
      const found = await store().get(ana.tenantId, ana.id, now);
      const { channel = Channel.API, externalId = "" } = found?.identities[0] ?? {};
      await erase(ana);
      expect(await claim(ana)).toBeUndefined();
      expect(
        await store().claimOnce({ id: newId() }, ana.tenantId, ana.id, [newClaim()], later(9_000)),
      ).toEqual([]);
      const email = { channel: Channel.EMAIL, externalId: newId() };
      expect(await store().link(ana.tenantId, ana.id, email, now, quietly)).toBe("absent");
      const next = await store().getOrCreate(ana.tenantId, channel, externalId, later(9_000));
      expect(next.created).toBe(true);
      expect(next.profile.id).not.toBe(ana.id);
    });
    it("loses to no claim that comes at once", async () => {
      const ana = await made();
      await Promise.all([
        ...Array.from({ length: 8 }, (_, i) => claim(ana, { value: `canary ${i}` })),
        erase(ana),
        ...Array.from({ length: 8 }, (_, i) => claim(ana, { value: `canary ${i}` })),
      ]);
      expect(await open().dump(ana.tenantId)).not.toContain("canary");
    });
    it("leaves others, and other tenants, alone", async () => {
      const ana = await made();
      const bob = await made(ana.tenantId);
      await claim(bob);
      expect(await erase({ tenantId: newId(), id: ana.id })).toBeUndefined();
      await erase(ana);
      expect(await valueOf(bob)).toBe("ana@example.com");
    });
  });

  describe("an encrypted value", () => {
    it("is read like any other, and is nowhere to be seen in what is stored", async () => {
      const ana = await made();
      await claim(ana, { value: "canary", encrypted: true, verified });
      await claim(ana, { value: "weaker canary", encrypted: true });
      expect(await valueOf(ana)).toBe("canary");
      const field = (await store().get(ana.tenantId, ana.id, now))?.fields["email"];
      expect(field?.pending.map(({ value }) => jsonOf(value))).toEqual(["weaker canary"]);
      const page = await store().history(ana.tenantId, ana.id, "email", 9, undefined, later(99));
      expect(page.items.map((span) => span.claim.value)).toEqual(["canary"]);
      expect(await open().dump(ana.tenantId)).not.toContain("canary");
    });
    it("that can't be opened leaves its customer out of lists, which say so", async () => {
      const ana = await made();
      const bob = await made(ana.tenantId);
      await claim(ana, { value: "canary", encrypted: true });
      await open().tear(ana.id);
      const page = await store().list(ana.tenantId, 9, undefined, later(99));
      expect(page.items.map(({ id }) => id)).toEqual([bob.id]);
      expect(page.damaged).toMatchObject([{ table: "profile.field_claims", id: ana.id }]);
      const alone = store().get(ana.tenantId, ana.id, later(99));
      await expect(alone).rejects.toMatchObject({ reason: "ROW_DAMAGED" });
    });
    it("repeated by its key is the same", async () => {
      const ana = await made();
      const once = { value: "canary", encrypted: true, idempotencyKey: "k" };
      await claim(ana, once);
      expect(await claim(ana, once)).toMatchObject({ repeated: true, claim: { value: "canary" } });
    });
  });

  describe("retention", () => {
    it("hides a value at its time, and removes it from every time at the next pass", async () => {
      const ana = await made();
      await claim(ana, { value: "canary", retentionMs: 1_000 }, later(0));
      await claim(ana, { name: "name", value: "Ana" }, later(1));
      expect(await valueOf(ana, "email", later(999))).toBe("canary");
      expect(await valueOf(ana, "email", later(1_000))).toBeUndefined();
      expect(await open().dump(ana.tenantId)).toContain("canary");
      await store().prune(later(1_000), 1_000);
      expect(await open().dump(ana.tenantId)).not.toContain("canary");
      const point = { valid: later(500), recorded: later(500) };
      const then = await store().get(ana.tenantId, ana.id, later(2_000), point);
      expect(Object.keys(then?.fields ?? {})).toEqual(["name"]);
    });
    it("counts for values that were there before it was defined", async () => {
      const ana = await made();
      await claim(ana, { value: "canary" });
      const definition = create(FieldDefinitionSchema, {
        name: "email",
        retention: { seconds: 1n },
      });
      await open().definitions.keep(ana.tenantId, newId(), 1n, [definition]);
      await store().prune(later(999), 1_000);
      expect(await valueOf(ana)).toBe("canary");
      await store().prune(later(1_000), 1_000);
      expect(await open().dump(ana.tenantId)).not.toContain("canary");
    });
  });

  describe("a newer version's values", () => {
    it("are kept as they came: sources and channels that this one has no name for", async () => {
      const acme = newId();
      // Numbers on the wire that this version's enums don't have.
      const [channel, source] = [97 as Channel, 98 as FieldSource];
      const { profile } = await store().getOrCreate(acme, channel, "ana", now);
      await claim({ tenantId: acme, id: profile.id }, { source });
      const read = await store().get(acme, profile.id, now);
      expect(read?.identities[0]?.channel).toBe(97);
      expect(read?.fields["email"]?.source).toBe(98);
    });
  });

  describe("definitions", () => {
    const defined = (name: string, label = "") => create(FieldDefinitionSchema, { name, label });
    it("are those of each agent's last version, whatever order the news comes in", async () => {
      const { definitions } = open();
      const [acme, sales, support] = [newId(), newId(), newId()];
      await definitions.keep(acme, sales, 2n, [defined("email", "second"), defined("plan")]);
      await definitions.keep(acme, sales, 1n, [defined("email", "first")]);
      await definitions.keep(acme, support, 1n, [defined("email", "support")]);
      const labels = async () =>
        (await definitions.of(acme, ["email"])).map(({ label }) => label).toSorted();
      expect(await labels()).toEqual(["second", "support"]);
      await definitions.keep(acme, sales, 0n, []);
      await definitions.keep(acme, sales, 3n, [defined("email", "late")]);
      expect(await labels()).toEqual(["support"]);
      expect(await definitions.of(newId(), ["email"])).toEqual([]);
    });
  });
}

interface Of {
  readonly tenantId: string;
  readonly id: string;
}

/** As it arrives of a turn in a session. */
function turnOf({ sessionId }: { readonly sessionId: string }): Uint8Array {
  return toBinary(TurnCommittedSchema, create(TurnCommittedSchema, { turn: { sessionId } }));
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

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never;
