import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { CustomerProfileSchema, FieldSource } from "@soldier/proto/profile/v1/profile";
import { afterEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const dayMs = 86_400_000;

/** What is answered without a model, with an address that was stored so many days ago. */
async function answered(ageDays: number, more: { verified?: boolean; granted?: boolean } = {}) {
  const desk = await desks.start({
    agent: { settings: { replyMode: "TEMPLATE_MODE_EXCLUSIVE" } },
    fieldDefinitions: [{ name: "address", consentPurpose: "contact" }],
    templates: [
      {
        name: "old",
        text: "Is it still {address}? You {provenance.address.note}.",
        conditions: "has(provenance.address) && provenance.address.age_days > 365",
        priority: 2,
      },
      {
        name: "checked",
        text: "{address}, checked on {provenance.address.verified_on}.",
        priority: 1,
      },
      { name: "plain", text: "{address}, since {provenance.address.recorded_on}." },
      { name: "none", text: "I can't say.", mode: "TEMPLATE_MODE_FALLBACK" },
    ],
  });
  const customerId = newId();
  const at = timestampFromDate(new Date(Date.now() - ageDays * dayMs));
  const field = {
    value: valueOf("1 Mill Lane"),
    source: FieldSource.USER_PROVIDED,
    recordedAt: at,
    ...(more.verified && { verification: { method: "letter", at } }),
  };
  const consents = [{ purpose: "contact", granted: more.granted ?? true }];
  desk.peers.profiles.set(
    customerId,
    create(CustomerProfileSchema, { id: customerId, fields: { address: field }, consents }),
  );
  const { reply } = await desk.say("where do you write to?", { customer: { customerId } });
  return { reply, record: desk.peers.record };
}

const day = "\\d{1,2} [A-Z][a-z]+ \\d{4}";

describe("how a field is known", () => {
  it("is said by templates without a model, and decides between them", async () => {
    expect((await answered(10)).reply).toMatch(new RegExp(`^1 Mill Lane, since ${day}\\.$`));
    expect((await answered(10, { verified: true })).reply).toMatch(
      new RegExp(`^1 Mill Lane, checked on ${day}\\.$`),
    );
    const old = await answered(400);
    expect(old.reply).toMatch(
      new RegExp(`^Is it still 1 Mill Lane\\? You said on ${day}, not confirmed since\\.$`),
    );
    expect(old.record.profileUses).toMatchObject([{ name: "address", used: true, reason: "" }]);
  });
  it("is no more said than the field itself without consent", async () => {
    const { reply, record } = await answered(10, { granted: false });
    expect(reply).not.toMatch(/Mill|20\d\d/);
    expect(record.templates.find(({ name }) => name === "plain")?.reason).toBe(
      "no consent to say: address (contact)",
    );
    expect(record.profileUses).toMatchObject([{ used: false, reason: "consent: contact" }]);
  });
});
