import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { Authority, Cardinality, ClaimKind, EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type MemoryUnderTest, runMemory } from "../testing/run-memory.ts";

const at = (day: string) => timestampFromDate(new Date(`${day}T00:00:00Z`));

describeOn("relationships", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({ database });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  const client = () => running.mesh.as(testIdentity())(MemoryService);
  type Client = ReturnType<typeof client>;

  const claim = (subject: string, object: string, over: object = {}) => ({
    groupId: "g",
    kind: ClaimKind.ASSERT,
    subject,
    predicate: "knows",
    value: { case: "object" as const, value: object },
    validFrom: at("2024-01-01"),
    authority: Authority.USER,
    ...over,
  });
  const says = async (memory: Client, ...claims: ReturnType<typeof claim>[]) => {
    const { claims: stored } = await memory.addClaims({ claims });
    return stored[0];
  };
  const walk = async (memory: Client, entityId: string, over: object = {}) => {
    const { relationships } = await memory.walkGraph({ entityId, groupId: "g", ...over });
    return relationships.map(({ subject, object, depth }) => [subject?.id, object?.id, depth]);
  };
  const entity = (id: string, name: string, over: object = {}) => {
    return { id, groupId: "g", type: "person", name, aliases: [], ...over };
  };

  it("are told the nearest first, with names, in both directions, as far as is asked", async () => {
    const memory = client();
    await memory.addEntities({ entities: [entity("a", "Ana"), entity("b", "Ben")] });
    await says(memory, claim("a", "b"), claim("c", "b"), claim("c", "d"), claim("d", "e"));
    await says(memory, claim("a", "x", { predicate: "was_at", validTo: at("2024-06-01") }));
    expect(await walk(memory, "a")).toEqual([
      ["a", "b", 1],
      ["c", "b", 2],
    ]);
    expect(await walk(memory, "a", { depthMax: 5 })).toHaveLength(4);
    expect(await walk(memory, "a", { depthMax: 5, relationshipsMax: 3 })).toEqual([
      ["a", "b", 1],
      ["c", "b", 2],
      ["c", "d", 3],
    ]);
    const { relationships } = await memory.walkGraph({ entityId: "a", depthMax: 1 });
    expect(relationships[0]).toMatchObject({
      subject: { name: "Ana" },
      object: { name: "Ben" },
      fact: { predicate: "knows", groupId: "g" },
    });
  });

  it("hold at the point that is asked for, at every hop", async () => {
    const memory = client();
    await memory.setPredicates({
      predicates: [{ name: "works_at", cardinality: Cardinality.ONE }],
    });
    const works = { predicate: "works_at" };
    const first = await says(memory, claim("a", "acme", works));
    await says(memory, claim("acme", "lisbon", { predicate: "is_in" }));
    await says(memory, claim("a", "globex", { ...works, validFrom: at("2025-01-01") }));
    await says(
      memory,
      claim("globex", "oslo", { predicate: "is_in", validFrom: at("2026-01-01") }),
    );
    expect(await walk(memory, "a", { asOf: { valid: at("2024-07-01") } })).toEqual([
      ["a", "acme", 1],
      ["acme", "lisbon", 2],
    ]);
    expect(await walk(memory, "a", { asOf: { valid: at("2025-07-01") } })).toEqual([
      ["a", "globex", 1],
    ]);
    const recorded = first?.recordedAt;
    expect(await walk(memory, "a", { asOf: { valid: at("2025-07-01"), recorded } })).toEqual([
      ["a", "acme", 1],
    ]);
  });

  it("are those of whoever stands for an entity, and of itself again when that is undone", async () => {
    const memory = client();
    await memory.addEntities({ entities: [entity("bob", "Bob"), entity("rob", "Robert")] });
    await says(memory, claim("bob", "x"), claim("rob", "y"), claim("y", "z"));
    const { merge } = await memory.mergeEntities({ fromEntityId: "bob", toEntityId: "rob" });
    const together = [
      ["rob", "x", 1],
      ["rob", "y", 1],
      ["y", "z", 2],
    ];
    for (const either of ["bob", "rob"])
      expect(new Set(await walk(memory, either))).toEqual(new Set(together));
    await memory.unmergeEntities({ mergeId: merge?.id ?? "" });
    expect(await walk(memory, "bob")).toEqual([["bob", "x", 1]]);
    const then = { asOf: { recorded: merge?.recordedAt } };
    expect(new Set(await walk(memory, "bob", then))).toEqual(new Set(together));
  });

  it("are nobody else's: of another group, of another tenant, of an entity without a name", async () => {
    const [memory, other] = [client(), client()];
    await says(memory, claim("a", "b"));
    expect(await walk(memory, "a", { groupId: "h" })).toEqual([]);
    expect(await walk(other, "a")).toEqual([]);
    await expect(memory.walkGraph({ entityId: "a" })).rejects.toMatchObject({
      reason: "ENTITY_NOT_FOUND",
    });
  });

  it("order entities by the shortest way, and then by who is spoken of most", async () => {
    const memory = client();
    const ids: string[] = [];
    for (const i of [1, 2, 3]) {
      const { episode } = await memory.addEpisode({
        episode: {
          ingestKey: `said ${i}`,
          groupId: "g",
          customerId: "g",
          role: EpisodeRole.USER,
          text: `said ${i}`,
          occurredAt: at("2025-01-01"),
        },
      });
      ids.push(episode?.id ?? "");
    }
    const [one = "", two = "", three = ""] = ids;
    await memory.addEntities({
      entities: [entity("z", "Zoe", { mentionedIn: [one, two] }), entity("y", "Yan")],
    });
    await says(memory, claim("a", "b"), claim("b", "c"));
    await says(memory, claim("y", "q", { episodeId: three, validFrom: undefined }));
    const rank = async (request: object) => {
      const { entities } = await memory.rankEntities({
        groupId: "g",
        entityIds: ["y", "c", "z", "b"],
        ...request,
      });
      return entities.map(({ entityId, distance, mentions }) => [entityId, distance, mentions]);
    };
    expect(await rank({ nearEntityId: "a" })).toEqual([
      ["b", 1, 0],
      ["c", 2, 0],
      ["z", undefined, 2],
      ["y", undefined, 1],
    ]);
    expect((await rank({})).map(([id]) => id)).toEqual(["z", "y", "b", "c"]);
    expect((await rank({ asOf: { valid: at("2024-06-01") } })).map(([, , n]) => n)).toEqual([
      0, 0, 0, 0,
    ]);
    await expect(
      memory.addEntities({ entities: [entity("z", "Zoe", { groupId: "h", mentionedIn: [one] })] }),
    ).rejects.toMatchObject({ reason: "ENTITY_OF_ANOTHER_GROUP" });
    await expect(
      memory.addEntities({ entities: [entity("w", "Wil", { groupId: "h", mentionedIn: [one] })] }),
    ).rejects.toMatchObject({ reason: "ENTITY_INVALID" });
  });

  it("go with what is erased: mentions, and names that nothing speaks of any more", async () => {
    const memory = client();
    const { episode } = await memory.addEpisode({
      episode: {
        ingestKey: "k",
        groupId: "g",
        customerId: "g",
        role: EpisodeRole.USER,
        text: "something",
        occurredAt: at("2025-01-01"),
      },
    });
    const episodeId = episode?.id ?? "";
    await memory.addEntities({
      entities: [entity("z", "Zoe", { mentionedIn: [episodeId] }), entity("y", "Yan")],
    });
    const { erased } = await memory.erase({ scope: { case: "episodeId", value: episodeId } });
    expect(erased).toMatchObject({ episodes: 1n, entities: 1n });
    const { entities } = await memory.listEntities({ groupId: "g" });
    expect(entities.map(({ id }) => id)).toEqual(["y"]);
  });
});
