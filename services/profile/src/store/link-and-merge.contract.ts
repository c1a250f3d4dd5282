import type { Event } from "@soldier/events/event";
import fc from "fast-check";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { describe, expect, it } from "vitest";
import { jsonOf } from "../domain/messages.ts";
import {
  type Of,
  type ProfileStoreUnderTest,
  actsOn,
  event,
  later,
  now,
  quietly,
  verified,
} from "./testing/under-test.ts";

/** What linking names, and merging customers, must do. */
export function linkAndMergeContract(open: () => ProfileStoreUnderTest): void {
  const { store, made, claim, valueOf } = actsOn(open);

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
}

function time(at: Timestamp | undefined): Date | undefined {
  return at && timestampDate(at);
}

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never;
