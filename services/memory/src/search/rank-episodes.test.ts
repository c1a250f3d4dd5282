import { describe, expect, it } from "vitest";
import type { Episode } from "../domain/episode.ts";
import type { GroupChange } from "../store/episode-store.ts";
import { type GroupIndex, groupIndex } from "./group-index.ts";
import { type EpisodeQuery, rankEpisodes, type SearchWeights } from "./rank-episodes.ts";

const weights: SearchWeights = {
  vector: 0.5,
  bm25: 0.5,
  neighbours: 0,
  session: 0,
  sessionWords: 0,
  asked: 0,
  substance: 0,
  time: 0,
  speaker: 0,
  graph: 0,
};

const day = (n: number) => new Date(Date.UTC(2026, 0, n));

function episode(n: number, text: string, over: Partial<Episode> = {}): Episode {
  return {
    tenantId: "acme",
    id: `id-${String(n).padStart(3, "0")}`,
    groupId: "ana",
    customerId: "ana",
    agentId: "",
    sessionId: "",
    turnId: "",
    ingestKey: `k${n}`,
    role: "user",
    text,
    occurredAt: day(1),
    recordedAt: day(n),
    revision: n,
    ...over,
  };
}

type Said = readonly [episode: Episode, vector?: readonly number[]];

async function group(said: readonly Said[], groupId = "ana"): Promise<GroupIndex> {
  const index = groupIndex(groupId, 2);
  const changes = said.map(([one]): GroupChange => ({
    kind: "episode",
    revision: one.revision,
    episode: one,
  }));
  let revision = 1_000;
  for (const [one, vector] of said)
    if (vector)
      changes.push({
        kind: "vector",
        revision: ++revision,
        episodeId: one.id,
        vector: Float32Array.from(vector),
      });
  await index.extend({ revision, changes });
  return index;
}

const query = (text: string, over: Partial<EpisodeQuery> = {}): EpisodeQuery => ({
  text,
  vector: undefined,
  hitsMax: 10,
  tokensMax: undefined,
  validAt: day(31),
  recordedAt: undefined,
  exceptSessionId: "",
  ...over,
});

const idsOf = (hits: ReturnType<typeof rankEpisodes>) => hits.map((hit) => hit.episode.id);

describe("ranking", () => {
  it("finds by meaning and by words, and says how", async () => {
    const ana = await group([
      [episode(1, "the parcel is late"), [1, 0]],
      [episode(2, "a refund, please"), [0, 1]],
    ]);
    const [first, ...rest] = rankEpisodes(
      [ana],
      query("parcel", { vector: Float32Array.of(1, 0) }),
      weights,
    );
    expect(first?.episode.id).toBe("id-001");
    expect(first?.parts["vector"]).toBeCloseTo(1);
    expect(first?.parts["bm25"]).toBeGreaterThan(0);
    expect(first?.score).toBeLessThanOrEqual(1);
    expect(rest).toEqual([]); // neither a word nor a direction in common
  });
  it("finds an episode without a vector by its words", async () => {
    const ana = await group([
      [episode(1, "the weather is fine"), [0.6, 0.8]],
      [episode(2, "the parcel is late")],
    ]);
    const hits = rankEpisodes(
      [ana],
      query("parcel late", { vector: Float32Array.of(1, 0) }),
      weights,
    );
    expect(hits.find(({ episode: { id } }) => id === "id-002")?.parts).not.toHaveProperty("vector");
  });
  it("finds by words alone when the query has no vector", async () => {
    const ana = await group([[episode(1, "the parcel is late"), [1, 0]]]);
    const [hit] = rankEpisodes([ana], query("parcels"), weights);
    expect(hit?.score).toBeCloseTo(1 - Math.exp(-3 * (hit?.parts["bm25"] ?? 0)));
  });
  it("puts the latest first only among equals", async () => {
    const ana = await group([
      [episode(1, "parcel", { occurredAt: day(1) })],
      [episode(2, "parcel", { occurredAt: day(3) })],
      [episode(3, "parcel", { occurredAt: day(1) })],
      [episode(4, "parcel parcel", { occurredAt: day(1), role: "user" })],
    ]);
    expect(idsOf(rankEpisodes([ana], query("parcel"), weights)).slice(1)).toHaveLength(3);
    const equals = idsOf(rankEpisodes([ana], query("parcel"), weights)).slice(1);
    expect(equals).toEqual(["id-002", "id-001", "id-003"]);
    expect(idsOf(rankEpisodes([ana], query("parcel", { hitsMax: 2 }), weights))).toEqual([
      "id-004",
      "id-002",
    ]);
  });
  it("looks in many groups as in one", async () => {
    const ana = await group([[episode(1, "parcel late")]]);
    const ben = await group([[episode(2, "parcel"), [1, 0]]], "ben");
    expect(idsOf(rankEpisodes([ana, ben], query("parcel late"), weights))).toEqual([
      "id-001",
      "id-002",
    ]);
  });
  it("shows only what had happened, and what was stored, by then", async () => {
    const ana = await group([
      [episode(1, "parcel", { occurredAt: day(5) })],
      [episode(9, "parcel", { occurredAt: day(2) })],
    ]);
    const at = (over: Partial<EpisodeQuery>) =>
      idsOf(rankEpisodes([ana], query("parcel", over), weights));
    expect(at({ validAt: day(4) })).toEqual(["id-009"]);
    expect(at({ validAt: day(5) })).toHaveLength(2);
    expect(at({ recordedAt: day(8) })).toEqual(["id-001"]);
    expect(at({ recordedAt: day(9) })).toHaveLength(2);
    expect(at({ validAt: day(4), recordedAt: day(8) })).toEqual([]);
  });
  it("fills the hits after hiding, and lets nothing hidden touch a score", async () => {
    const before = await group([[episode(1, "parcel late")], [episode(2, "parcel")]]);
    const after = await group([
      [episode(1, "parcel late")],
      [episode(2, "parcel")],
      ...Array.from({ length: 20 }, (_, i): Said => [episode(10 + i, "late late late")]),
    ]);
    const then = query("parcel late", { hitsMax: 2, recordedAt: day(9) });
    expect(rankEpisodes([after], then, weights)).toEqual(rankEpisodes([before], then, weights));
  });
  it("leaves out the session that is in the prompt already", async () => {
    const ana = await group([
      [episode(1, "parcel", { sessionId: "s1" })],
      [episode(2, "parcel", { sessionId: "s2" })],
    ]);
    const hits = rankEpisodes([ana], query("parcel", { exceptSessionId: "s2" }), weights);
    expect(idsOf(hits)).toEqual(["id-001"]);
  });
  it("keeps the best that fit into the tokens", async () => {
    const ana = await group([
      [episode(1, `parcel ${"x".repeat(400)}`)],
      [episode(2, "parcel late")],
      [episode(3, "parcel")],
    ]);
    const hits = rankEpisodes([ana], query("parcel", { tokensMax: 5 }), weights);
    expect(idsOf(hits).toSorted()).toEqual(["id-002", "id-003"]);
    expect(rankEpisodes([ana], query("parcel", { tokensMax: 1 }), weights)).toEqual([]);
  });
  it("raises what was said beside a match, and the session of many, in the order of saying", async () => {
    const said = (n: number, text: string, sessionId: string, minute: number) =>
      [episode(n, text, { sessionId, occurredAt: new Date(day(1).getTime() + minute) })] as const;
    const ana = await group([
      said(1, "which number is it", "s1", 1),
      said(2, "the number is on it", "s2", 1),
      said(3, "my parcel", "s1", 2),
    ]);
    const around = { ...weights, neighbours: 0.4 };
    expect(idsOf(rankEpisodes([ana], query("parcel number"), around))[0]).not.toBe("id-002");
    const session = { ...weights, session: 0.5 };
    const hits = rankEpisodes([ana], query("parcel number"), session);
    expect(idsOf(hits).at(-1)).toBe("id-002");
  });
  const first = async (said: readonly Said[], asked: string, over: Partial<SearchWeights>) =>
    idsOf(rankEpisodes([await group(said)], query(asked), { ...weights, ...over }))[0];
  it("raises the answer to the question that was asked", async () => {
    const said = (n: number, text: string, minute: number) =>
      [
        episode(n, text, { sessionId: "s", occurredAt: new Date(day(1).getTime() + minute) }),
      ] as const;
    const talk = [
      said(1, "it rains", 1),
      said(2, "where is the blue parcel?", 2),
      said(3, "with a neighbour, I think", 3),
      said(4, "it pours", 4),
    ];
    const hits = rankEpisodes([await group(talk)], query("blue parcel"), {
      ...weights,
      asked: 0.3,
    });
    expect(idsOf(hits)).toEqual(["id-002", "id-003"]);
  });
  it("raises what was said at the time that is asked for", async () => {
    const said = [
      [episode(1, "the parcel came", { occurredAt: new Date("2025-03-02") })],
      [episode(2, "the parcel came", { occurredAt: new Date("2025-09-02") })],
    ] as const;
    expect(await first(said, "which parcel came?", { time: 0.25 })).toBe("id-002");
    expect(await first(said, "which parcel came in March 2025?", { time: 0.25 })).toBe("id-001");
  });
  it("raises texts that tell a time where a time is asked", async () => {
    const said = [
      [episode(1, "parcel came yesterday")],
      [episode(2, "parcel came overnight", { occurredAt: day(2) })],
    ] as const;
    expect(await first(said, "which parcel came?", { time: 0.25 })).toBe("id-002");
    expect(await first(said, "when did the parcel come?", { time: 0.25 })).toBe("id-001");
  });
  it("raises an episode in which a fact was said about what the question names", async () => {
    const said = await group([
      [episode(1, "she moved there in May")],
      [episode(2, "she moved there in June")],
    ]);
    const asked = query("when has Ben moved there?", { graph: new Map([["id-002", 0.5]]) });
    const [plain] = rankEpisodes([said], asked, weights);
    const [best, other] = rankEpisodes([said], asked, { ...weights, graph: 0.2 });
    expect(plain?.episode.id).toBe("id-001");
    expect([best?.episode.id, best?.parts["graph"], other?.parts["graph"]]).toEqual([
      "id-002",
      0.5,
      0,
    ]);
  });

  it("raises whom a question names, where several people speak", async () => {
    const said = [
      [episode(1, "Ana Silva: the parcel is late")],
      [episode(2, "Ben Cruz: Ana, a parcel for Ana", { occurredAt: day(2) })],
    ] as const;
    expect(await first(said, "what of the parcel, says Ana?", {})).toBe("id-002");
    expect(await first(said, "what of the parcel, says Ana?", { speaker: 0.9 })).toBe("id-001");
    const [alone] = rankEpisodes([await group(said.slice(0, 1))], query("Ana's parcel"), {
      ...weights,
      speaker: 0.9,
    });
    expect(alone?.parts["speaker"]).toBe(0);
  });
  it("raises texts that say something over those that hardly do", async () => {
    const said = [
      [episode(1, "the parcel was left in a shed behind a green house by a courier")],
      [episode(2, "parcel")],
    ] as const;
    expect(await first(said, "parcel", {})).toBe("id-002");
    expect(await first(said, "parcel", { substance: 10 })).toBe("id-001");
  });
  it("takes any text for a question", async () => {
    const ana = await group([
      [episode(1, "das Päckchen ist spät 📦"), [1, 0]],
      [episode(2, "荷物はどこ")],
    ]);
    for (const odd of [
      '"parcel" AND -(late) OR *:* NEAR/3',
      "📦",
      "\u0000\u0007\u001b[31m",
      "%_'; --",
      " ",
    ])
      expect(
        rankEpisodes([ana], query(odd, { vector: Float32Array.of(1, 0) }), weights),
      ).not.toHaveLength(0);
    expect(idsOf(rankEpisodes([ana], query("PÄCKCHEN!"), weights))).toEqual(["id-001"]);
    expect(idsOf(rankEpisodes([ana], query("荷物"), weights))).toEqual(["id-002"]);
    expect(idsOf(rankEpisodes([ana], query(`${"x ".repeat(16_000)} spät`), weights))).toEqual([
      "id-001",
    ]);
  });
});

describe("a group's index", () => {
  it("passes over what it has already", async () => {
    const ana = await group([[episode(1, "parcel"), [1, 0]]]);
    const again: GroupChange = { kind: "episode", revision: 1, episode: episode(1, "parcel") };
    await ana.extend({ revision: 1, changes: [again] });
    expect(ana.episodes).toHaveLength(1);
    expect(ana.revision).toBe(1_001);
  });
  it("takes in more than it does at a stretch, twice at the same time", async () => {
    const index = groupIndex("ana", 2);
    const changes = Array.from({ length: 500 }, (_, i): GroupChange => ({
      kind: "episode",
      revision: i + 1,
      episode: episode(i + 1, "x"),
    }));
    await Promise.all([
      index.extend({ revision: 300, changes: changes.slice(0, 300) }),
      index.extend({ revision: 500, changes }),
    ]);
    expect(index.episodes.map(({ revision }) => revision)).toEqual(changes.map((c) => c.revision));
    expect(index.sizeBytes).toBeGreaterThan(500 * 700);
  });
});
