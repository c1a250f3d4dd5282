import { FieldSource } from "@soldier/proto/profile/v1/profile";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Claim,
  knownUntil,
  type NewClaim,
  outcomeOf,
  sameValue,
  standingAfter,
} from "./claim.ts";

const at = new Date("2026-03-01T10:00:00Z");
const verified = { method: "email_link", by: "mailer", at };

type Weighed = Pick<NewClaim, "value" | "source" | "verified">;

const user = (over: Partial<Weighed> = {}): Weighed => ({
  value: "a",
  source: FieldSource.USER_PROVIDED,
  verified: undefined,
  ...over,
});

const claimOf = (version: number, over: Partial<Claim> = {}): Claim => ({
  ...user(),
  name: "email",
  confidence: 1,
  id: `claim ${version}`,
  customerId: "ana",
  validFrom: at,
  validTo: undefined,
  expiresAt: undefined,
  deleteAfter: undefined,
  encrypted: false,
  sessionId: "",
  scenarioId: "",
  stepId: "",
  recordedBy: "",
  idempotencyKey: undefined,
  outcome: "pending",
  recordedAt: at,
  version,
  ...over,
});

const anySource = fc.integer({ min: 1, max: 6 }).map((source) => source as FieldSource); // its numbers

describe("what becomes of a claim", () => {
  it("is applied when nothing holds", () => {
    expect(outcomeOf(user(), undefined)).toBe("applied");
  });
  it("is applied against an unverified value, whatever said it: the last word counts", () => {
    fc.assert(
      fc.property(anySource, anySource, (source, other) => {
        expect(outcomeOf(user({ source, value: "b" }), user({ source: other }))).toBe("applied");
      }),
    );
  });
  it("waits when it is unverified and no stronger than the verified value it contradicts", () => {
    fc.assert(
      fc.property(anySource, anySource, (source, other) => {
        const outcome = outcomeOf(user({ source, value: "b" }), user({ source: other, verified }));
        expect(outcome).toBe(source > other ? "applied" : "pending");
      }),
    );
  });
  it("is applied when it is verified and as strong as the verified value it contradicts", () => {
    fc.assert(
      fc.property(anySource, anySource, (source, other) => {
        const claim = user({ source, value: "b", verified });
        const outcome = outcomeOf(claim, user({ source: other, verified }));
        expect(outcome).toBe(source >= other ? "applied" : "pending");
      }),
    );
  });
  it("confirms the same value, and takes its place only with better standing", () => {
    const weaker = user({ source: FieldSource.LLM_EXTRACTED });
    expect(outcomeOf(weaker, user())).toBe("confirmed");
    expect(outcomeOf(user(), weaker)).toBe("applied");
    expect(outcomeOf(user(), user({ verified }))).toBe("confirmed");
    expect(outcomeOf(user({ verified }), user())).toBe("applied");
    expect(outcomeOf({ ...weaker, verified }, user({ verified }))).toBe("confirmed");
  });
});

describe("how a field stands", () => {
  it("keeps a bounded number of pending values", () => {
    const first = claimOf(1, { value: "verified", outcome: "applied", verified });
    let standing = standingAfter(first, "applied", undefined);
    for (let version = 2; version < 40; version++)
      standing = standingAfter(claimOf(version, { value: version }), "pending", standing);
    expect(standing.holding).toBe(first);
    expect(standing.pending.map(({ value }) => value)).toEqual([
      39, 38, 37, 36, 35, 34, 33, 32, 31, 30,
    ]);
  });
  it("does not change by a confirmation", () => {
    const before = standingAfter(claimOf(1), "applied", undefined);
    expect(standingAfter(claimOf(2), "confirmed", before)).toBe(before);
  });
});

it("is known until it expires or is to be deleted, whichever is first", () => {
  const sooner = new Date(at.getTime() - 1);
  expect(knownUntil({ expiresAt: undefined, deleteAfter: undefined })).toBeUndefined();
  expect(knownUntil({ expiresAt: at, deleteAfter: undefined })).toBe(at);
  expect(knownUntil({ expiresAt: undefined, deleteAfter: at })).toBe(at);
  expect(knownUntil({ expiresAt: at, deleteAfter: sooner })).toBe(sooner);
  expect(knownUntil({ expiresAt: sooner, deleteAfter: at })).toBe(sooner);
});

it("compares values as JSON, whatever the order of keys", () => {
  expect(sameValue({ a: 1, b: [{ c: 1, d: 2 }] }, { b: [{ d: 2, c: 1 }], a: 1 })).toBe(true);
  expect(sameValue([1, 2], [2, 1])).toBe(false);
  expect(sameValue("1", 1)).toBe(false);
});
