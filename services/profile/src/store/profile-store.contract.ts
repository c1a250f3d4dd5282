import { create } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { FieldDefinitionSchema } from "@soldier/proto/config/v1/tool";
import { FieldSource, VerificationLevel } from "@soldier/proto/profile/v1/profile";
import { describe, expect, it } from "vitest";
import { claimContract } from "./claims.contract.ts";
import { eraseContract } from "./erase.contract.ts";
import { linkAndMergeContract } from "./link-and-merge.contract.ts";
import type { NewAsset } from "./profile-store.ts";
import {
  type Of,
  type ProfileStoreUnderTest,
  actsOn,
  later,
  now,
  quietly,
  verified,
} from "./testing/under-test.ts";

/** What every ProfileStore must do. A line here is a promise to the rest of Soldier. */
export function profileStoreContract(open: () => ProfileStoreUnderTest): void {
  const { store, made, claim, valueOf } = actsOn(open);

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

  claimContract(open);
  linkAndMergeContract(open);
  eraseContract(open);
}
