import type { Event } from "@soldier/events/event";
import { create } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { FieldDefinitionSchema } from "@soldier/proto/config/v1/tool";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { describe, expect, it } from "vitest";
import { jsonOf } from "../domain/messages.ts";
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

/** What claims, consents and their times must do. */
export function claimContract(open: () => ProfileStoreUnderTest): void {
  const { store, made, claim, valueOf } = actsOn(open);

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
}
