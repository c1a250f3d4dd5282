import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  Authority,
  FactState,
  type FactVersion,
  FactVersionSchema,
} from "@soldier/proto/memory/v1/memory";
import {
  CustomerProfileSchema,
  FieldSource,
  type ProfileFieldSchema,
} from "@soldier/proto/profile/v1/profile";
import { describe, expect, it } from "vitest";
import { factBeliefs, fieldBeliefs } from "./beliefs.ts";
import { valueOf } from "./json.ts";

const on = (day: string) => timestampFromDate(new Date(day));
const instants = { at: new Date("2026-05-10"), now: new Date("2026-05-20") };

type Field = MessageInitShape<typeof ProfileFieldSchema>;

const city = (value: string, day: string, more: Field = {}): Field => ({
  name: "city",
  value: valueOf(value),
  source: FieldSource.USER_PROVIDED,
  recordedAt: on(day),
  validFrom: on(day),
  ...more,
});
const profileOf = (field: Field | undefined) =>
  create(CustomerProfileSchema, { fields: field ? { city: field } : {} });

const leeds = city("Leeds", "2026-05-03");
const was = "Leeds (said on 3 May 2026, not confirmed since)";

describe("a field, then and now", () => {
  it.each<[string, string, readonly (Field | undefined)[]]>([
    ["same", was, [leeds, leeds, leeds]],
    [
      "corrected",
      `then: ${was}; now: Rome, corrected on 12 May 2026`,
      [
        leeds,
        city("Rome", "2026-05-12", { validFrom: on("2026-05-03") }),
        city("Rome", "2026-05-12", { validFrom: on("2026-05-03") }),
      ],
    ],
    [
      "changed",
      `then: ${was}; now: Rome, since 12 May 2026`,
      [leeds, leeds, city("Rome", "2026-05-12")],
    ],
    ["taken_back", `then: ${was}; taken back`, [leeds, undefined, undefined]],
    [
      "expired",
      "then: Leeds (said on 3 May 2026, not confirmed since; expires on 15 May 2026); not known any more, expired on 15 May 2026",
      [
        city("Leeds", "2026-05-03", { expiresAt: on("2026-05-15") }),
        city("Leeds", "2026-05-03", { expiresAt: on("2026-05-15") }),
        undefined,
      ],
    ],
    [
      "learned_later",
      "then: not known; now: Leeds, learned on 12 May 2026",
      [
        undefined,
        city("Leeds", "2026-05-12", { validFrom: on("2026-05-03") }),
        city("Leeds", "2026-05-12", { validFrom: on("2026-05-03") }),
      ],
    ],
    ["erased", "what was believed has been erased", [undefined, undefined, undefined]],
  ])("is %s", (change, told, [then, hindsight, now]) => {
    const views = {
      past: profileOf(then),
      hindsight: profileOf(hindsight),
      present: profileOf(now),
    };
    expect(fieldBeliefs(views, ["city"], instants)).toMatchObject([
      { name: "city", change, told, used: true },
    ]);
  });
});

const fact = (place: string, more: MessageInitShape<typeof FactVersionSchema> = {}): FactVersion =>
  create(FactVersionSchema, {
    factId: place,
    subject: "ada",
    predicate: "lives_in",
    value: { case: "object", value: place },
    authority: Authority.USER,
    state: FactState.CURRENT,
    claimIds: [`claim-${place}`],
    validFrom: on("2026-05-03"),
    recordedAt: on("2026-05-03"),
    lastConfirmedAt: on("2026-05-03"),
    ...more,
  });
const names = new Map([
  ["leeds", "Leeds"],
  ["rome", "Rome"],
]);

describe("a fact, then and now", () => {
  it.each<[string, string, readonly FactVersion[], readonly FactVersion[]]>([
    ["same", was, [fact("leeds")], [fact("leeds")]],
    [
      "corrected",
      `then: ${was}; now: Rome, corrected on 12 May 2026`,
      [fact("leeds", { supersededAt: on("2026-05-12") })],
      [fact("rome", { recordedAt: on("2026-05-12") })],
    ],
    [
      "changed",
      `then: ${was}; now: Rome, since 12 May 2026`,
      [fact("leeds", { supersededAt: on("2026-05-12") })],
      [
        fact("leeds", { validTo: on("2026-05-12"), closeReason: "succession" }),
        fact("rome", { validFrom: on("2026-05-12"), recordedAt: on("2026-05-12") }),
      ],
    ],
    [
      "ended",
      `then: ${was}; no longer so since 12 May 2026`,
      [fact("leeds")],
      [fact("leeds", { validTo: on("2026-05-12"), closeReason: "end" })],
    ],
    [
      "taken_back",
      `then: ${was}; taken back on 12 May 2026`,
      [fact("leeds", { supersededAt: on("2026-05-12"), closeReason: "retracted" })],
      // Said at another time, of the same predicate: it did not take the place.
      [fact("rome", { validFrom: on("2026-05-14"), recordedAt: on("2026-05-14") })],
    ],
    [
      "learned_later",
      "then: not known; now: Rome, learned on 12 May 2026",
      [],
      [fact("rome", { recordedAt: on("2026-05-12") })],
    ],
  ])("is %s", (change, told, then, known) => {
    const views = { past: then, known, names, customerIds: new Set(["ada"]) };
    expect(factBeliefs(views, [], instants)).toMatchObject([
      { name: "lives_in", subject: "", change, told, used: false },
    ]);
  });
  it("that the turn used is told first, and also when it has been erased", () => {
    const views = {
      past: [fact("leeds"), fact("rome", { predicate: "likes" })],
      known: [fact("leeds"), fact("rome", { predicate: "likes" })],
      names,
      customerIds: new Set(["ada"]),
    };
    expect(factBeliefs(views, ["rome", "gone"], instants)).toMatchObject([
      { factId: "gone", change: "erased", used: true },
      { factId: "rome", change: "same", used: true },
      { factId: "leeds", change: "same", used: false },
    ]);
  });
});
