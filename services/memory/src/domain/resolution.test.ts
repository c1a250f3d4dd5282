import { describe, expect, it } from "vitest";
import type { Episode } from "./episode.ts";
import type { Extraction, FoundClaim } from "./finding.ts";
import { type Known, resolveFindings } from "./resolution.ts";

const episode: Episode = {
  tenantId: "acme",
  id: "01a1fe46-0000-7000-8000-000000000001",
  groupId: "g",
  revision: 1,
  customerId: "ana",
  agentId: "",
  sessionId: "s1",
  turnId: "t1",
  ingestKey: "k",
  role: "user",
  text: "I live in Leeds.",
  occurredAt: new Date("2026-03-01T10:00:00Z"),
  recordedAt: new Date("2026-03-01T10:00:01Z"),
};
const claim: FoundClaim = {
  kind: "assert",
  subject: { kind: "customer" },
  predicate: "lives_in",
  value: { kind: "mention", name: "Leeds", type: "place" },
  validFrom: undefined,
  validTo: undefined,
  timeBasis: "assumed",
  authority: "user",
  confidence: 0.8,
  spanStart: 0,
  spanEnd: 15,
};
const known = (over: Partial<Known> = {}): Known => ({
  episode,
  entities: [],
  earlier: [],
  withdrawn: new Set(),
  facts: [],
  ...over,
});
const read = (findings: Extraction["findings"], extractor = "pattern:v1"): Extraction => ({
  extractor,
  findings,
});

describe("findings", () => {
  it("become claims about entities, with the same ids however often they are read", () => {
    const once = resolveFindings(read([claim]), known());
    expect(once.entities).toMatchObject([{ groupId: "g", type: "place", name: "Leeds" }]);
    expect(once.claims).toMatchObject([{ kind: "assert", subject: "ana", predicate: "lives_in" }]);
    const [entity] = once.entities;
    if (!entity) throw new Error("there is one");
    const again = resolveFindings(
      read([claim]),
      known({ entities: [{ ...entity, canonicalId: entity.id }] }),
    );
    expect(again.claims).toEqual(once.claims);
    expect(again.entities).toEqual([]);
  });
  it("of a newer reading take back those of an older one, and never a person's", () => {
    const earlier = [
      { id: "old", extractor: "pattern:v0", subject: "ana", predicate: "lives_in" },
      { id: "hers", extractor: "operator", subject: "ana", predicate: "lives_in" },
    ];
    const { claims } = resolveFindings(read([claim]), known({ earlier }));
    expect(claims.map(({ kind, target }) => [kind, target])).toEqual([
      ["retract", "old"],
      ["assert", undefined],
    ]);
    expect(
      resolveFindings(read([claim]), known({ earlier: earlier.slice(1) })).claims,
    ).toHaveLength(1);
  });
  it("are said anew when a reading between took them back", () => {
    const [first] = resolveFindings(read([claim]), known()).claims;
    const withdrawn = new Set([first?.id ?? ""]);
    const [again] = resolveFindings(read([claim]), known({ withdrawn })).claims;
    expect(again?.id).not.toBe(first?.id);
    expect(resolveFindings(read([claim]), known({ withdrawn })).claims[0]?.id).toBe(again?.id);
  });
  it("that cannot be are dropped, and say why", () => {
    const impossible = {
      ...claim,
      validFrom: "2024-01-01T00:00:00Z",
      validTo: "2023-01-01T00:00:00Z",
    };
    const noTime = { ...claim, validFrom: "tomorrow-ish" };
    const nobody = known({ episode: { ...episode, customerId: "" } });
    expect(resolveFindings(read([impossible, noTime]), known())).toMatchObject({
      claims: [],
      dropped: ["impossible interval", "no time"],
    });
    expect(resolveFindings(read([claim]), nobody).dropped).toEqual(["no customer"]);
  });
});

describe("a correction", () => {
  const correction = {
    kind: "correction",
    wrong: "Leeds",
    right: "Leicester",
    authority: "user",
    spanStart: 0,
    spanEnd: 10,
  } as const;
  const fact = {
    predicate: "lives_in",
    value: { kind: "entity", id: "leeds" },
    from: new Date("2025-01-01T00:00:00Z"),
    verified: false,
    latest: true,
  } as const;
  const leeds = { id: "leeds", canonicalId: "leeds", type: "place", name: "Leeds", aliases: [] };
  const entities = [leeds];

  it("of one fact takes it back and says the right one from the same time on", () => {
    const { claims, undecided } = resolveFindings(
      read([correction]),
      known({ entities, facts: [fact] }),
    );
    expect(undecided).toEqual([]);
    expect(claims).toMatchObject([
      { kind: "retract", predicate: "lives_in", value: fact.value },
      { kind: "assert", predicate: "lives_in", validFrom: fact.from, timeBasis: "inferred" },
    ]);
  });
  it("within one message is of what that message says", () => {
    const { claims, entities: made } = resolveFindings(read([claim, correction]), known());
    expect(claims).toHaveLength(1);
    expect(made.map(({ name }) => name)).toEqual(["Leicester"]);
  });
  it("of several facts, or of one that was verified, is left to a person", () => {
    const two = [fact, { ...fact, predicate: "born_in" }];
    const several = resolveFindings(read([correction]), known({ entities, facts: two }));
    expect(several.claims).toEqual([]);
    expect(several.undecided).toHaveLength(2);
    const facts = [{ ...fact, verified: true }];
    expect(resolveFindings(read([correction]), known({ entities, facts }))).toMatchObject({
      claims: [],
      undecided: [[{ kind: "retract" }, { kind: "assert" }]],
    });
  });
  it("without what was wrong is of what the message before said, if that was one thing", () => {
    const bare = { ...correction, wrong: undefined };
    const older = { ...fact, predicate: "born_in", latest: false };
    const { claims } = resolveFindings(read([bare]), known({ entities, facts: [fact, older] }));
    expect(claims.map(({ predicate }) => predicate)).toEqual(["lives_in", "lives_in"]);
    expect(resolveFindings(read([bare]), known()).dropped).toEqual(["nothing to correct"]);
  });
});
