import { create } from "@bufbuild/protobuf";
import { FieldDefinitionSchema, FieldType } from "@soldier/proto/config/v1/tool";
import { CustomerProfileSchema } from "@soldier/proto/profile/v1/profile";
import { describe, expect, it } from "vitest";
import { answerFor, fieldsIn, fieldValue, profileValues, withheldFields } from "./fields.ts";
import { valueOf } from "./json.ts";

const field = (type: FieldType, more = {}) =>
  create(FieldDefinitionSchema, { name: "f", type, ...more });

describe("fields", () => {
  it("are found by their own patterns", () => {
    const order = field(FieldType.STRING, { extractionPattern: "\\b(L-\\d+)\\b" });
    expect(fieldsIn("it is L-17, not L-18", [order])).toMatchObject([{ name: "f", value: "L-17" }]);
    expect(fieldsIn("nothing here", [order])).toEqual([]);
    const either = field(FieldType.STRING, { extractionPattern: "€(\\d+)|(\\d+) euro" });
    expect(fieldsIn("it was 49 euro", [either])).toMatchObject([{ value: "49" }]);
  });
  it.each([
    [FieldType.EMAIL, "write to Ada@Example.org please", "ada@example.org"],
    [FieldType.NUMBER, "1,500", 1500],
    [FieldType.NUMBER, "49,90", 49.9],
    [FieldType.BOOLEAN, "yes, sure", true],
    [FieldType.PHONE, "call +49 (30) 555 1234", "+49305551234"],
    [FieldType.DATE, "on 2026-11-05", "2026-11-05"],
    [FieldType.NUMBER, "many", undefined],
  ])("have a type (%i): %s", (type, text, value) => {
    expect(fieldValue(text, field(type))).toEqual(value);
  });
  it("keep to their rules", () => {
    const short = field(FieldType.STRING, { validation: { maxLength: 3 } });
    expect(fieldValue("long", short)).toBeUndefined();
    expect(fieldValue("ok", short)).toBe("ok");
  });
  it("take a whole message for an answer, but not a question or one with another form", () => {
    expect(answerFor(field(FieldType.STRING), "It was too small.")?.value).toBe("It was too small");
    expect(answerFor(field(FieldType.STRING), "Why do you ask?")).toBeUndefined();
    expect(answerFor(field(FieldType.STRING, { extractionPattern: "x" }), "hm")).toBeUndefined();
  });
  it("of a profile are unknown once they have expired", () => {
    const profile = create(CustomerProfileSchema, {
      fields: {
        old: { value: valueOf("x"), expiresAt: { seconds: 1n } },
        good: { value: valueOf("y") },
      },
    });
    expect(profileValues(profile, new Date())).toEqual({ good: "y" });
  });
  it("are withheld without the consent that they need", () => {
    const health = create(FieldDefinitionSchema, { name: "health", consentPurpose: "model" });
    const definitions = new Map([["health", health]]);
    const asked = create(CustomerProfileSchema, {
      consents: [{ purpose: "model", granted: true }],
    });
    expect([...withheldFields(definitions, undefined)]).toEqual([
      ["health", { purpose: "model", reason: "consent_missing" }],
    ]);
    expect([...withheldFields(definitions, asked)]).toEqual([]);
    const withdrawn = create(CustomerProfileSchema, {
      consents: [{ purpose: "model", granted: false }],
    });
    expect(withheldFields(definitions, withdrawn).get("health")?.reason).toBe("consent_withdrawn");
  });
});
