import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import {
  Authority,
  ClaimKind,
  EpisodeRole,
  FactState,
  type IngestionStage,
  IngestionStatus,
} from "@soldier/proto/memory/v1/memory";
import { type MemoryHit, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type MemoryUnderTest, runMemory } from "../testing/run-memory.ts";

const done = IngestionStatus.DONE;
const isEmbedded = ({ name }: IngestionStage) => name === "embedded";
const at = (day: string) => timestampFromDate(new Date(`${day}T00:00:00Z`));

describeOn("a search for facts and summaries beside episodes", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({ database, memory: { extraction: "off" } });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  const client = () => running.mesh.as(testIdentity())(MemoryService);
  type Client = ReturnType<typeof client>;

  const say = async (memory: Client, text: string, groupId = "ana") => {
    const { episode } = await memory.addEpisode({
      episode: {
        ingestKey: `${groupId} ${text}`,
        groupId,
        customerId: groupId,
        role: EpisodeRole.USER,
        text,
        occurredAt: at("2025-01-01"),
      },
    });
    return episode?.id ?? "";
  };
  const claim = (subject: string, predicate: string, object: string, over: object = {}) => ({
    groupId: "ana",
    kind: ClaimKind.ASSERT,
    subject,
    predicate,
    value: { case: "object" as const, value: object },
    validFrom: at("2024-01-01"),
    authority: Authority.USER,
    ...over,
  });
  const entity = (id: string, name: string) => {
    return { id, groupId: "ana", type: "person", name, aliases: [] };
  };
  const textOf = ({ found, text }: MemoryHit) => {
    if (found.case === "fact") return text;
    return found.case === undefined ? "" : found.value.text;
  };
  const ofKind = (hits: readonly MemoryHit[], kind: "episode" | "fact" | "summary") =>
    hits.filter(({ found }) => found.case === kind);

  /** Ana's sister Ben lives in Porto, said in one of two episodes; both are summed up. */
  const world = async () => {
    const memory = client();
    const episodeId = await say(memory, "My sister lives in Porto");
    const other = await say(memory, "The lamp is broken");
    await memory.addEntities({ entities: [entity("ben", "Ben"), entity("porto", "Porto")] });
    await memory.addClaims({
      claims: [
        claim("ben", "lives_in", "porto", { episodeId }),
        claim("ben", "lives_in_before", "lisbon", { validTo: at("2024-06-01") }),
        claim("porto", "part_of", "portugal"),
        claim("zoe", "likes", "tea"),
      ],
    });
    const { summary } = await memory.addSummary({
      summary: {
        groupId: "ana",
        text: "She told where her sister lives",
        inputIds: [episodeId, other],
      },
    });
    await vi.waitFor(async () => {
      const { episodes } = await memory.listEpisodes({ groupId: "ana" });
      const embedded = episodes.flatMap(({ stages }) => stages.filter(isEmbedded));
      expect(embedded.map(({ status }) => status)).toEqual([done, done]);
    });
    return { memory, episodeId, summaryId: summary?.id };
  };

  it("finds episodes alone unless they are asked for", async () => {
    const { memory } = await world();
    const { hits } = await memory.search({ query: "Where does Ben live?", groupIds: ["ana"] });
    expect(hits.map(({ found }) => found.case)).toEqual(["episode", "episode"]);
    const { hits: recalled } = await memory.recall({
      query: "Ben",
      customerId: "ana",
      factsMax: 1,
    });
    expect(ofKind(recalled, "fact").map(textOf)).toEqual(["Ben lives in Porto"]);
  });

  it("finds what was said first beside episodes since it was last asked", async () => {
    const memory = client();
    const about = {
      query: "Where does Ben live?",
      customerId: "ana",
      factsMax: 1,
      summariesMax: 1,
    };
    const [episodeId, other] = [await say(memory, "Ben has moved"), await say(memory, "Yes")];
    const found = async () => (await memory.recall(about)).hits.map(({ found: hit }) => hit.case);
    expect(await found()).not.toContain("fact");
    await memory.addClaims({ claims: [claim("ben", "lives_in", "porto")] });
    expect(await found()).toContain("fact");
    expect(await found()).not.toContain("summary");
    const summary = { groupId: "ana", text: "Where Ben lives", inputIds: [episodeId, other] };
    await memory.addSummary({ summary });
    expect(await found()).toEqual(expect.arrayContaining(["fact", "summary"]));
  });

  it("finds facts of a group in which nothing was said", async () => {
    const memory = client();
    const about = { query: "Where does Ben live?", customerId: "ana", factsMax: 1 };
    expect((await memory.recall(about)).hits).toEqual([]);
    await memory.addClaims({ claims: [claim("ben", "lives_in", "porto")] });
    expect((await memory.recall(about)).hits).toHaveLength(1);
  });

  it("tells of each what it is, where it is from, how it stands and why it is here", async () => {
    const { memory, episodeId, summaryId } = await world();
    const { hits } = await memory.search({
      query: "Where does Ben live?",
      groupIds: ["ana"],
      factsMax: 2,
      summariesMax: 1,
    });
    const [fact, further] = ofKind(hits, "fact");
    expect(fact && textOf(fact)).toBe("Ben lives in Porto");
    expect(fact?.sourceIds).toEqual([episodeId]);
    expect(fact?.found.value).toMatchObject({
      validFrom: at("2024-01-01"),
      state: FactState.CURRENT,
    });
    expect(fact?.scoreParts).toMatchObject({ graph: 1, bm25: expect.any(Number) });
    // By way of Porto: nothing of its words is asked for.
    expect(further && textOf(further)).toBe("Porto part of portugal");
    expect(further?.scoreParts).toMatchObject({ graph: 0.5, bm25: 0 });
    const [summary] = ofKind(hits, "summary");
    expect(summary?.found.value).toMatchObject({ id: summaryId, coversTo: at("2025-01-01") });
    expect(summary?.sourceIds).toContain(episodeId);
    const scores = hits.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(Math.max(...scores)).toBeLessThanOrEqual(1);
    const near = ofKind(hits, "episode").map(({ scoreParts }) => scoreParts["graph"]);
    expect(near).toEqual([1, 0]);
  });

  it("finds what holds at the point, and no fact takes its place that does not", async () => {
    const { memory } = await world();
    const ask = async (valid: string) => {
      const query = { query: "Where does Ben live?", groupIds: ["ana"], factsMax: 1 };
      const { hits } = await memory.search({ ...query, asOf: { valid: at(valid) } });
      return ofKind(hits, "fact").map(textOf);
    };
    expect(await ask("2023-06-01")).toEqual([]);
    expect(await ask("2024-07-01")).toEqual(["Ben lives in Porto"]);
  });

  it("has one budget of tokens for all of them", async () => {
    const { memory } = await world();
    const query = {
      query: "Where does Ben live?",
      groupIds: ["ana"],
      factsMax: 5,
      summariesMax: 5,
    };
    const { hits } = await memory.search({ ...query, tokensMax: 12 });
    const bytes = hits.map((hit) => Buffer.byteLength(textOf(hit)));
    expect(bytes.reduce((sum, each) => sum + Math.ceil(each / 4), 0)).toBeLessThanOrEqual(12);
    expect(hits.length).toBeGreaterThan(0);
  });

  it("looks in every group of the tenant when that is said, and in none without a word", async () => {
    const [memory, other] = [client(), client()];
    for (const groupId of ["ana", "ben", "zoe"])
      await say(memory, `a parcel for ${groupId}`, groupId);
    await say(other, "a parcel for nobody", "else");
    const { hits, partial } = await memory.search({ query: "which parcel", everyGroup: true });
    expect(new Set(hits.map(textOf))).toEqual(
      new Set(["a parcel for ana", "a parcel for ben", "a parcel for zoe"]),
    );
    expect(partial).toBe(false);
    for (const groups of [{}, { everyGroup: true, groupIds: ["ana"] }])
      await expect(memory.search({ query: "parcel", ...groups })).rejects.toMatchObject({
        reason: "GROUPS_INVALID",
      });
    const agent = running.mesh.as(testIdentity({ roles: ["end_user"] }))(MemoryService);
    await expect(agent.search({ query: "parcel", everyGroup: true })).rejects.toMatchObject({
      kind: "forbidden",
    });
  });
});
