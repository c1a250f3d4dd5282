import { describe, expect, it } from "vitest";
import { groundsOf, isGrounded } from "./grounding.ts";
import type { Json, JsonRecord } from "./json.ts";

const text = { type: "string" };
const grounded = (said: string, value: Json, schema: JsonRecord = text, name = "to") =>
  isGrounded(name, value, schema, groundsOf([said]), true);

describe("a text that a model proposes", () => {
  it("may be used when it was said, however it is written", () => {
    const said = "Send it to José Müller, order l 17, phone 0170-123 4567.";
    for (const value of ["jose muller", "Müller", "L-17", "L17", "+491701234567"])
      expect(grounded(said, value), value).toBe(true);
    expect(grounded("我是张三", "张三")).toBe(true);
    expect(grounded("some euros please", "euro")).toBe(true);
  });
  it("is left out when nobody said it", () => {
    for (const value of ["Sophie", "John Smith", "ACC-1", "99", "n/a", "", "?"])
      expect(grounded("send money from my account to Ann, code 1234", value), value).toBe(false);
    expect(grounded("my market", "mark")).toBe(false);
  });
  it("is left out when it only says what is missing", () => {
    const said = "from my account to the customer";
    expect(grounded(said, "my account", text, "from_account")).toBe(false);
    expect(grounded("from my savings account", "savings account", text, "from_account")).toBe(true);
  });
  it("may be worded by the model where it is prose, but not its figures and codes", () => {
    const said = "it arrived broken, order L-17";
    const summary = "The customer reports that the parcel of order L-17 was damaged on arrival";
    expect(grounded(said, summary)).toBe(true);
    expect(grounded(said, summary.replace("L-17", "L-18"))).toBe(false);
    expect(grounded(said, "damaged goods", { ...text, "x-derived": true })).toBe(true);
  });
  it("may be a date that follows from another, and whatever the schema lists", () => {
    expect(grounded("immediately", "17-01-2025")).toBe(true);
    expect(grounded("tomorrow at seven", "2025-01-18T19:00")).toBe(true);
    expect(grounded("sort code please", "12-34-56")).toBe(false);
    expect(grounded("the quick one", "EXPRESS", { enum: ["EXPRESS", "NORMAL"] })).toBe(true);
  });
  it("is looked at inside lists and objects", () => {
    const list = { type: "array", items: text };
    expect(grounded("Ann and Bob", ["Ann", "Bob"], list)).toBe(true);
    expect(grounded("Ann and Bob", ["Ann", "Eve"], list)).toBe(false);
    expect(grounded("Ann", { name: "Eve" }, { type: "object" })).toBe(false);
  });
});

describe("a number where a mistake can't be mended", () => {
  const number = { type: "integer" };
  it("was said, or follows by one operation from what was", () => {
    const said = "send 1,500 euros; for euros multiply the amount by 2; 10% off; 2k; twelve";
    for (const value of [1500, 3000, 1350, 2000, 12]) {
      expect(grounded(said, value, number), String(value)).toBe(true);
    }
    expect(grounded("double it: 70", 140, number)).toBe(true);
  });
  it("is none of the figures of an id", () => {
    for (const id of ["01a200f0-6903-7541-a068-a8bfac8be556", "cus_9s6XKzkN200a7", "01J9ZK200M4Q"])
      for (const value of [200, 6903, 9, 400]) {
        expect(grounded(`["${id}"]`, value, number), `${value} of ${id}`).toBe(false);
      }
    for (const said of ["200EUR", "EUR200", "order L-200", "sku12345678, 200 of it"])
      expect(grounded(said, 200, number), said).toBe(true);
  });
  it("is not guessed", () => {
    expect(grounded("send some money", 100, number)).toBe(false);
    expect(isGrounded("n", 100, number, groundsOf(["some"]), false)).toBe(true);
  });
});
