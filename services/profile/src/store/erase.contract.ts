import { create, toBinary } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { TurnCommittedSchema } from "@soldier/proto/events/v1/events";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { describe, expect, it } from "vitest";
import type { NewErasure } from "./profile-store.ts";
import {
  type Of,
  type ProfileStoreUnderTest,
  actsOn,
  event,
  later,
  newClaim,
  now,
  quietly,
  verified,
} from "./testing/under-test.ts";

/** What erasing a customer, or what came of a session, must do. */
export function eraseContract(open: () => ProfileStoreUnderTest): void {
  const { store, made, claim, valueOf } = actsOn(open);

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
}

/** As it arrives of a turn in a session. */
function turnOf({ sessionId }: { readonly sessionId: string }): Uint8Array {
  return toBinary(TurnCommittedSchema, create(TurnCommittedSchema, { turn: { sessionId } }));
}
