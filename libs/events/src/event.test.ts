import type { DescField } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { TurnCommittedSchema, TurnToldSchema } from "@soldier/proto/events/v1/events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageOf, newEvent, parseSubject, subjectOf, topic } from "./event.ts";
import { turnCommittedTopic, turnToldTopic } from "./topics.ts";

describe("an event", () => {
  const renamed = topic("thing.renamed", StringValueSchema, "value");

  it("carries its topic's message", () => {
    const event = newEvent(renamed, "acme", { value: "new" }, new Date(0));
    expect(event).toMatchObject({ topic: "thing.renamed", tenantId: "acme" });
    expect(event.occurredAt).toEqual(new Date(0));
    expect(messageOf(renamed, event).value).toBe("new");
  });

  it("says so when its bytes are not its topic's message", () => {
    const event = { ...newEvent(renamed, "acme", {}, new Date(0)), payload: new Uint8Array([7]) };
    expect(() => messageOf(renamed, event)).toThrow(`event ${event.id} on thing.renamed is no`);
  });

  it("of a committed turn is told without its record, and with all else", () => {
    const numbers = (fields: readonly DescField[]) =>
      fields.map(({ number, name }) => [number, name]);
    expect(numbers(TurnToldSchema.fields)).toEqual(
      numbers(TurnCommittedSchema.fields.filter(({ name }) => name !== "record")),
    );
    const whole = { customerId: "c-1", turn: { id: "t-1" }, record: { replyText: "yes" } };
    const told = messageOf(turnToldTopic, newEvent(turnCommittedTopic, "acme", whole, new Date(0)));
    expect(told).toMatchObject({ customerId: "c-1", turn: { id: "t-1" } });
  });

  it("names topics by two words", () => {
    for (const name of ["turn", "turn.committed.v1", "Turn.committed", "turn.*", ""])
      expect(() => topic(name, StringValueSchema, "value")).toThrow("is not a topic");
  });
});

describe("a subject", () => {
  it("reads soldier.<thing>.<verb>.v1.<tenant>", () => {
    expect(subjectOf({ topic: "turn.committed", tenantId: "acme-1" })).toBe(
      "soldier.turn.committed.v1.acme-1",
    );
  });

  it("holds any tenant as one safe token, and gives it back", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary" }), (text) => {
        const tenantId = text.toWellFormed();
        const subject = subjectOf({ topic: "turn.committed", tenantId });
        expect(subject).toMatch(/^soldier\.turn\.committed\.v1\.[A-Za-z0-9_~-]+$/);
        expect(parseSubject(subject)).toEqual({ topic: "turn.committed", tenantId });
      }),
    );
  });

  it("of another shape is nobody's", () => {
    for (const subject of ["", "soldier.turn", "soldier.turn.committed.v2.acme", "a.b.c.v1.d.e"])
      expect(parseSubject(subject)).toBeUndefined();
  });
});
