import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { testIdentity } from "@soldier/chassis/testing";
import { deterministicEmbedder } from "@soldier/ai/deterministic";
import { embedOne } from "@soldier/ai/embedder";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { type EpisodeSchema, EpisodeRole, IngestionStatus } from "@soldier/proto/memory/v1/memory";
import { type MemoryHit, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type MemoryUnderTest, runMemory } from "../testing/run-memory.ts";

const [database] = testDatabase();
const then = timestampFromDate(new Date("2026-03-01T10:00:00Z"));

let running: MemoryUnderTest;
beforeAll(async () => {
  if (!database) throw new Error("the embedded PostgreSQL is always there");
  running = await runMemory({ database });
});
afterAll(() => running[Symbol.asyncDispose]());

type Given = MessageInitShape<typeof EpisodeSchema>;

const given = (over: Given = {}): Given => ({
  ingestKey: newId(),
  customerId: "ana",
  role: EpisodeRole.USER,
  text: "my parcel has not come",
  occurredAt: then,
  ...over,
});

/** A tenant's client. */
function client(roles: readonly string[] = ["operator"]) {
  return running.mesh.as(testIdentity({ roles }))(MemoryService);
}

const texts = (hits: readonly MemoryHit[]) =>
  hits.map(({ found }) => (found.case === "episode" ? found.value.text : ""));

async function refusal(call: Promise<unknown>): Promise<Fault> {
  const error: unknown = await call.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof Fault) return error;
  throw new Error("the call was not refused", { cause: error });
}

describe("AddEpisode", () => {
  it("stores an episode, in its customer's group unless told otherwise", async () => {
    const memory = client();
    const { episode, added } = await memory.addEpisode({ episode: given() });
    expect(added).toBe(true);
    expect(episode).toMatchObject({ groupId: "ana", customerId: "ana", role: EpisodeRole.USER });
    const read = await memory.getEpisode({ episodeId: episode?.id ?? "" });
    expect(read.episode?.text).toBe("my parcel has not come");
  });
  it("takes the same key as the same episode", async () => {
    const memory = client();
    const first = await memory.addEpisode({ episode: given({ ingestKey: "k" }) });
    const again = await memory.addEpisode({ episode: given({ ingestKey: "k", text: "other" }) });
    expect(again.added).toBe(false);
    expect(again.episode?.id).toBe(first.episode?.id);
    expect(again.episode?.text).toBe("my parcel has not come");
  });
  it("refuses what cannot be stored, and names every bad field", async () => {
    const memory = client();
    const nothing = { ingestKey: "", customerId: "", text: "" };
    const fault = await refusal(memory.addEpisode({ episode: given(nothing) }));
    expect(fault).toMatchObject({ kind: "invalid", reason: "EPISODE_INVALID" });
    expect(fault.fields.map(({ field }) => field)).toEqual([
      "episode.ingest_key",
      "episode.group_id",
      "episode.text",
    ]);
    const role = { role: EpisodeRole.UNSPECIFIED };
    expect((await refusal(memory.addEpisode({ episode: given(role) }))).fields).toMatchObject([
      { field: "episode.role" },
    ]);
    expect((await refusal(memory.addEpisode({}))).kind).toBe("invalid");
  });
  it("is for operators", async () => {
    const fault = await refusal(client(["chat"]).addEpisode({ episode: given() }));
    expect(fault).toMatchObject({ kind: "forbidden", reason: "ROLE_MISSING" });
  });
});

describe("AddEpisodes", () => {
  it("answers each in the order of its coming", async () => {
    const memory = client();
    async function* requests() {
      for (const ingestKey of ["a", "b", "a"]) yield { episode: given({ ingestKey }) };
    }
    const answers: [string, boolean][] = [];
    for await (const { ingestKey, added } of memory.addEpisodes(requests()))
      answers.push([ingestKey, added]);
    expect(answers).toEqual([
      ["a", true],
      ["b", true],
      ["a", false],
    ]);
  });
  it("keeps what came before one that cannot be stored", async () => {
    const memory = client();
    async function* requests() {
      yield { episode: given({ ingestKey: "good" }) };
      yield { episode: given({ text: "" }) };
    }
    const read = async () => {
      const answers: string[] = [];
      for await (const { ingestKey } of memory.addEpisodes(requests())) answers.push(ingestKey);
      return answers;
    };
    expect(await refusal(read())).toMatchObject({ reason: "EPISODE_INVALID" });
    expect((await memory.listEpisodes({ groupId: "ana" })).episodes).toHaveLength(1);
  });
});

describe("GetEpisode and ListEpisodes", () => {
  it("tell of an episode that is not there, also when it is another tenant's", async () => {
    const { episode } = await client().addEpisode({ episode: given() });
    for (const episodeId of [newId(), episode?.id ?? ""])
      expect(await refusal(client().getEpisode({ episodeId }))).toMatchObject({
        kind: "not-found",
        reason: "EPISODE_NOT_FOUND",
      });
  });
  it("page through a group, the latest first", async () => {
    const memory = client();
    for (const text of ["one", "two", "three"])
      await memory.addEpisode({ episode: given({ text }) });
    const first = await memory.listEpisodes({ groupId: "ana", pageSize: 2 });
    const pageToken = first.nextPageToken;
    const second = await memory.listEpisodes({ groupId: "ana", pageSize: 2, pageToken });
    const all = [...first.episodes, ...second.episodes];
    expect(all.map(({ text }) => text)).toEqual(["three", "two", "one"]);
    expect(second.nextPageToken).toBe("");
  });
  it("refuse a page token that is none", async () => {
    const fault = await refusal(client().listEpisodes({ groupId: "ana", pageToken: "x" }));
    expect(fault).toMatchObject({ kind: "invalid", reason: "PAGE_TOKEN_INVALID" });
  });
  it("show when the episode has its vector", async () => {
    const memory = client();
    const { episode } = await memory.addEpisode({ episode: given() });
    await vi.waitFor(async () => {
      const read = await memory.getEpisode({ episodeId: episode?.id ?? "" });
      expect(read.episode?.stages.slice(0, 2)).toMatchObject([
        { name: "stored", status: IngestionStatus.DONE },
        { name: "embedded", status: IngestionStatus.DONE, attempts: 1 },
      ]);
    });
  });
});

describe("Search", () => {
  it("finds an episode at once by its words, and soon by its vector, with the parts of its score", async () => {
    const memory = client();
    await memory.addEpisode({ episode: given() });
    await memory.addEpisode({ episode: given({ text: "I would like a refund" }) });
    const { hits } = await memory.search({ query: "where is my parcel?", groupIds: ["ana"] });
    expect(texts(hits)[0]).toBe("my parcel has not come");
    await vi.waitFor(async () => {
      const again = await memory.search({ query: "where is my parcel?", groupIds: ["ana"] });
      const parts = again.hits[0]?.scoreParts ?? {};
      expect(Object.keys(parts).toSorted()).toEqual([
        "asked",
        "bm25",
        "neighbours",
        "session",
        "session_words",
        "speaker",
        "substance",
        "time",
        "vector",
      ]);
      expect(again.hits[0]?.score).toBeLessThanOrEqual(1);
    });
  });
  it("takes the caller's vector when it is of the stored model", async () => {
    const memory = client();
    await memory.addEpisode({ episode: given() });
    const embedder = deterministicEmbedder(64);
    const vector = await embedOne(embedder, "parcel", AbortSignal.timeout(1_000));
    const search = async (model: string, values: number[]) => {
      const embedding = { model, values };
      const found = await memory.search({ query: "nothing", groupIds: ["ana"], embedding });
      return found.hits[0]?.scoreParts["vector"];
    };
    await vi.waitFor(async () => {
      const own = await search(embedder.model, [...vector]);
      expect(own).toBeDefined();
      expect(await search("another model", [...vector])).not.toBe(own);
      expect(await search(embedder.model, [1, 0])).not.toBe(own); // of other dimensions
    });
  });
  it("looks only in the groups named, of the tenant alone", async () => {
    const memory = client();
    for (const groupId of ["ana", "ben", "eve"])
      await memory.addEpisode({ episode: given({ groupId, text: `parcel of ${groupId}` }) });
    await client().addEpisode({ episode: given({ text: "parcel of another tenant" }) });
    const { hits } = await memory.search({ query: "parcel", groupIds: ["ana", "ben", "nobody"] });
    expect(texts(hits).toSorted()).toEqual(["parcel of ana", "parcel of ben"]);
    expect((await refusal(memory.search({ query: "parcel", groupIds: [] }))).kind).toBe("invalid");
  });
  it("answers as of a time, in the world and in what was known", async () => {
    const memory = client();
    const first = await memory.addEpisode({ episode: given({ text: "parcel one" }) });
    const recorded = first.episode?.recordedAt ?? then;
    const wait = timestampDate(recorded).getTime();
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(wait));
    const early = timestampFromDate(new Date("2026-01-01T00:00:00Z"));
    const past = given({ text: "parcel two", occurredAt: early });
    await memory.addEpisode({ episode: past });
    const search = async (asOf: { valid?: typeof then; recorded?: typeof then }) =>
      texts((await memory.search({ query: "parcel", groupIds: ["ana"], asOf })).hits).toSorted();
    expect(await search({})).toEqual(["parcel one", "parcel two"]);
    expect(await search({ recorded })).toEqual(["parcel one"]);
    expect(await search({ valid: early })).toEqual(["parcel two"]);
    expect(await search({ valid: early, recorded })).toEqual([]);
  });
  it("finds what was said a moment ago by a clock that is ahead of ours", async () => {
    const memory = client();
    const ahead = timestampFromDate(new Date(Date.now() + 20 * 60_000));
    await memory.addEpisode({ episode: given({ text: "my parcel is blue", occurredAt: ahead }) });
    const asked = { query: "which parcel?", groupIds: ["ana"] };
    expect(texts((await memory.search(asked)).hits)).toEqual(["my parcel is blue"]);
    const recalled = await memory.recall({ query: "which parcel?", customerId: "ana" });
    expect(texts(recalled.hits)).toEqual(["my parcel is blue"]);
    const valid = timestampFromDate(new Date());
    expect((await memory.search({ ...asked, asOf: { valid } })).hits).toEqual([]);
  });
  it("keeps to the hits and tokens asked for", async () => {
    const memory = client();
    for (let i = 0; i < 12; i++)
      await memory.addEpisode({ episode: given({ text: `parcel ${i}` }) });
    const search = async (limits: { hitsMax?: number; tokensMax?: number }) =>
      (await memory.search({ query: "parcel", groupIds: ["ana"], ...limits })).hits.length;
    expect(await search({})).toBe(10);
    expect(await search({ hitsMax: 12 })).toBe(12);
    expect(await search({ tokensMax: 6 })).toBeLessThanOrEqual(3);
  });
});

describe("Recall", () => {
  it("finds for any caller of the mesh, but not in the session that is going on", async () => {
    const identity = testIdentity({ roles: ["operator"] });
    const operator = running.mesh.as(identity)(MemoryService);
    for (const sessionId of ["s1", "s2"]) {
      const episode = given({ sessionId, text: `parcel in ${sessionId}` });
      await operator.addEpisode({ episode });
    }
    const mesh = running.mesh.as({ ...identity, roles: [] })(MemoryService);
    const request = { query: "parcel", customerId: "ana", exceptSessionId: "s2" };
    expect(texts((await mesh.recall(request)).hits)).toEqual(["parcel in s1"]);
    expect((await mesh.recall({ ...request, customerId: "nobody" })).hits).toEqual([]);
  });
});
