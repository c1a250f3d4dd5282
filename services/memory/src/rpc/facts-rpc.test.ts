import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import {
  Cardinality,
  type ClaimSchema,
  ClaimKind,
  EpisodeRole,
  FactState,
} from "@soldier/proto/memory/v1/memory";
import { FactMode, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MemoryUnderTest, runMemory } from "../testing/run-memory.ts";

const [database] = testDatabase();
let running: MemoryUnderTest;
beforeAll(async () => {
  if (!database) throw new Error("the embedded PostgreSQL is always there");
  running = await runMemory({ database });
});
afterAll(() => running[Symbol.asyncDispose]());

const at = (day: string) => timestampFromDate(new Date(`${day}T00:00:00Z`));
const groupIds = ["ana"];

type Given = MessageInitShape<typeof ClaimSchema>;
const claim = (object: string, from: string, over: Given = {}): Given => ({
  groupId: "ana",
  kind: ClaimKind.ASSERT,
  subject: "ana",
  predicate: "lives_in",
  value: { case: "object", value: object },
  validFrom: at(from),
  ...over,
});

async function client(roles: readonly string[] = ["operator"]) {
  const identity = testIdentity();
  const operator = running.mesh.as(identity)(MemoryService);
  await operator.setPredicates({
    predicates: [{ name: "lives_in", cardinality: Cardinality.ONE }],
  });
  return running.mesh.as({ ...identity, roles })(MemoryService);
}

async function refusal(call: Promise<unknown>): Promise<Fault> {
  const error: unknown = await call.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof Fault) return error;
  throw new Error("the call was not refused", { cause: error });
}

const fieldsOf = async (call: Promise<unknown>) =>
  (await refusal(call)).fields.map(({ field }) => field);

describe("AddClaims and QueryFacts", () => {
  it("assert, end, correct, and answer on both axes", async () => {
    const memory = await client();
    const [leeds] = (await memory.addClaims({ claims: [claim("leeds", "2023-01-01")] })).claims;
    const targetClaimId = leeds?.id ?? "";
    const retract = { groupId: "ana", kind: ClaimKind.RETRACT, targetClaimId };
    await memory.addClaims({ claims: [retract, claim("leicester", "2023-01-01")] });
    const end = claim("leicester", "2023-01-01", {
      kind: ClaimKind.END,
      validTo: at("2025-01-01"),
    });
    await memory.addClaims({ claims: [{ ...end, validFrom: undefined }] });
    const asked = { groupIds, subject: "ana" };
    const then = { valid: at("2024-01-01") };
    const { facts } = await memory.queryFacts({ ...asked, asOf: then, mode: FactMode.AT });
    expect(facts).toMatchObject([
      { value: { value: "leicester" }, state: FactState.CURRENT, closeReason: "end" },
    ]);
    const recorded = leeds?.recordedAt;
    const before = await memory.queryFacts({
      ...asked,
      asOf: { ...then, ...(recorded && { recorded }) },
    });
    expect(before.facts).toMatchObject([{ value: { value: "leeds" }, closeReason: "retracted" }]);
    expect((await memory.queryFacts(asked)).facts).toEqual([]); // ended by now
    const history = await memory.queryFacts({ ...asked, mode: FactMode.HISTORY });
    expect(history.facts).toMatchObject([{ state: FactState.SUPERSEDED }]);
    const overlap = { overlapFrom: at("2020-01-01"), overlapTo: at("2023-01-02") };
    const over = await memory.queryFacts({ ...asked, mode: FactMode.OVERLAP, ...overlap });
    expect(over.facts).toHaveLength(1);
  });
  it("take an episode's time for what has none, and its claim once", async () => {
    const memory = await client();
    const episode = {
      ingestKey: newId(),
      customerId: "ana",
      role: EpisodeRole.USER,
      text: "I live in Leeds",
      occurredAt: at("2024-05-01"),
    };
    const added = await memory.addEpisode({ episode });
    const said = claim("leeds", "2024-01-01", {
      validFrom: undefined,
      episodeId: added.episode?.id ?? "",
      extractor: "pattern:v1",
      spanEnd: 15,
    });
    const [first] = (await memory.addClaims({ claims: [said] })).claims;
    expect((await memory.addClaims({ claims: [said] })).claims[0]).toEqual(first);
    const { facts } = await memory.queryFacts({ groupIds, mode: FactMode.HISTORY });
    expect(facts.map(({ validFrom }) => validFrom && timestampDate(validFrom))).toEqual([
      new Date("2024-05-01T00:00:00Z"),
    ]);
  });
  it("refuse what can't be, and name each field", async () => {
    const memory = await client();
    const refused = (over: Given) =>
      fieldsOf(memory.addClaims({ claims: [claim("x", "2024-01-01", over)] }));
    expect(await refused({ validTo: at("2023-01-01") })).toEqual(["claims[0].valid_to"]);
    expect(await refused({ recordedAt: at("2999-01-01") })).toEqual(["claims[0].recorded_at"]);
    expect(await refused({ subject: "", predicate: "" })).toEqual([
      "claims[0].subject",
      "claims[0].predicate",
    ]);
    expect(await refused({ value: { case: undefined } })).toEqual(["claims[0].object"]);
    expect(await refused({ confidence: 2 })).toEqual(["claims[0].confidence"]);
    expect(await refused({ episodeId: newId() })).toEqual(["claims[0].episode_id"]);
    const retract = { kind: ClaimKind.RETRACT, validFrom: undefined, targetClaimId: "nothing" };
    expect(await refused(retract)).toEqual(["claims[0].target_claim_id"]);
    const two = [claim("x", "2024-01-01"), claim("y", "2024-01-01", { groupId: "ben" })];
    expect(await fieldsOf(memory.addClaims({ claims: two }))).toEqual(["claims[1].group_id"]);
    expect((await refusal(memory.queryFacts({ groupIds: [] }))).kind).toBe("invalid");
    const overlap = memory.queryFacts({ groupIds, mode: FactMode.OVERLAP });
    expect(await fieldsOf(overlap)).toEqual(["overlap_to"]);
    expect((await memory.queryFacts({ groupIds, mode: FactMode.HISTORY })).facts).toEqual([]);
  });
  it("park what would end too many facts until it is reviewed", async () => {
    const memory = await client();
    const people = ["a", "b", "c", "d", "e", "f"];
    await memory.addClaims({
      claims: people.map((subject) => claim("x", "2020-01-01", { subject })),
    });
    const moves = people.map((subject) => claim("y", "2021-01-01", { subject }));
    const { claims, parked } = await memory.addClaims({ claims: moves });
    expect(claims).toEqual([]);
    expect(parked).toMatchObject({ factsEnded: 6, factsHeld: 6, groupId: "ana" });
    expect((await memory.listParkedClaims({})).parked).toEqual([parked]);
    const parkedId = parked?.id ?? "";
    expect((await memory.reviewParkedClaims({ parkedId, accept: true })).claims).toHaveLength(6);
    const again = await refusal(memory.reviewParkedClaims({ parkedId }));
    expect(again).toMatchObject({ kind: "not-found", reason: "PARKED_NOT_FOUND" });
    const page = await memory.queryFacts({ groupIds, pageSize: 4 });
    const rest = await memory.queryFacts({ groupIds, pageSize: 4, pageToken: page.nextPageToken });
    expect([...page.facts, ...rest.facts].map(({ subject }) => subject).toSorted()).toEqual(people);
    expect(rest.nextPageToken).toBe("");
  });
  it("are for operators", async () => {
    const chat = await client(["chat"]);
    expect((await refusal(chat.queryFacts({ groupIds }))).reason).toBe("ROLE_MISSING");
    expect((await refusal(chat.addClaims({ claims: [claim("x", "2024-01-01")] }))).kind).toBe(
      "forbidden",
    );
  });
});

describe("entities", () => {
  it("are named, merged and taken apart again", async () => {
    const memory = await client();
    const named = (id: string, name: string) => ({ id, name, groupId: "ana", type: "person" });
    await memory.addEntities({ entities: [named("bob", "Bob"), named("rob", "Robert Lee")] });
    await memory.addClaims({
      claims: [
        claim("tea", "2024-01-01", { subject: "bob", predicate: "likes" }),
        claim("jazz", "2024-01-01", { subject: "rob", predicate: "likes" }),
      ],
    });
    const { merge } = await memory.mergeEntities({
      fromEntityId: "bob",
      toEntityId: "rob",
      evidence: "same address",
    });
    expect(merge).toMatchObject({ by: "tester", evidence: "same address" });
    const of = async (subject: string) =>
      (await memory.queryFacts({ groupIds, subject })).facts.length;
    expect([await of("rob"), await of("bob")]).toEqual([2, 2]);
    const { entities } = await memory.listEntities({ groupId: "ana", name: " BOB " });
    expect(entities).toMatchObject([{ id: "bob", canonicalId: "rob" }]);
    const undone = await memory.unmergeEntities({ mergeId: merge?.id ?? "" });
    expect(undone.merge?.undoneAt).toBeDefined();
    expect([await of("rob"), await of("bob")]).toEqual([1, 1]);
    const unknown = memory.mergeEntities({ fromEntityId: "bob", toEntityId: "nobody" });
    expect(await refusal(unknown)).toMatchObject({ reason: "ENTITY_NOT_FOUND" });
    const nameless = memory.addEntities({ entities: [named("x", " ")] });
    expect(await fieldsOf(nameless)).toEqual(["entities[0].name"]);
  });
});
