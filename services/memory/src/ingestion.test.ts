import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { newId } from "@soldier/kernel/ids";
import {
  Authority,
  EpisodeRole,
  FactState,
  IngestionStatus,
} from "@soldier/proto/memory/v1/memory";
import { FactMode, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type MemoryUnderTest, runMemory } from "./testing/run-memory.ts";

// The first text starts a thread that reads libraries of its own, beside all other tests.
vi.setConfig({ testTimeout: 60_000 });

/** What is said becomes believed, through every stage of the running service. */
describeOn("ingestion by patterns", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({ database, memory: { embed_poll_ms: 20, summaries: "off" } });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  const at = (text: string) => timestampFromDate(new Date(text));

  function customer() {
    const tenantId = newId();
    const groupId = newId();
    const memories = running.mesh.as(testIdentity({ tenantId }))(MemoryService);
    let said = 0;
    const say = async (
      text: string,
      over: { at?: string; role?: EpisodeRole; session?: string } = {},
    ) => {
      const number = said++;
      const { episode } = await memories.addEpisode({
        episode: {
          groupId,
          customerId: groupId,
          sessionId: over.session ?? "s1",
          turnId: `t${number}`,
          ingestKey: `${groupId}:${number}`,
          role: over.role ?? EpisodeRole.USER,
          text,
          occurredAt: at(over.at ?? `2026-03-02T10:${String(number).padStart(2, "0")}:00Z`),
        },
      });
      return episode?.id ?? "";
    };
    const stages = async (episodeId: string) => {
      const { episode } = await memories.getEpisode({ episodeId });
      return Object.fromEntries((episode?.stages ?? []).map(({ name, status }) => [name, status]));
    };
    const passed = async (episodeId: string) => {
      await vi.waitFor(
        async () => {
          const of = await stages(episodeId);
          expect(Object.values(of)).not.toContain(IngestionStatus.PENDING);
          expect(of["resolved"]).toBeDefined();
        },
        { timeout: 50_000, interval: 20 },
      );
    };
    const facts = async (mode: FactMode = FactMode.CURRENT) => {
      const { facts: found } = await memories.queryFacts({
        groupIds: [groupId],
        mode,
        pageSize: 500,
      });
      const { entities } = await memories.listEntities({ groupId, pageSize: 500 });
      const nameOf = new Map(entities.map(({ id, name }) => [id, name]));
      nameOf.set(groupId, "me");
      return found.map((fact) => ({
        ...fact,
        told: `${nameOf.get(fact.subject) ?? fact.subject} ${fact.predicate} ${
          fact.value.case === "object"
            ? nameOf.get(fact.value.value)
            : JSON.stringify(fact.value.value?.kind.value)
        }`,
      }));
    };
    const told = async () => (await facts()).map((fact) => fact.told).toSorted();
    return { memories, groupId, tenantId, say, stages, passed, facts, told };
  }

  it("takes what a customer says to facts, with its source, and succession follows", async () => {
    const { say, passed, told, facts, stages } = customer();
    const first = await say("Hello! I live in Leeds and my sister Anna lives in Rome.");
    await passed(first);
    expect(await told()).toEqual(["Anna lives_in Rome", "me lives_in Leeds", "me sister Anna"]);
    expect(await stages(first)).toEqual({
      stored: IngestionStatus.DONE,
      embedded: IngestionStatus.DONE,
      extracted: IngestionStatus.DONE,
      resolved: IngestionStatus.DONE,
    });
    await passed(await say("I moved to Bristol last week.", { at: "2026-04-06T10:00:00Z" }));
    expect(await told()).toContain("me lives_in Bristol");
    const history = await facts(FactMode.HISTORY);
    const leeds = history.find((fact) => fact.told === "me lives_in Leeds");
    expect(leeds).toMatchObject({ state: FactState.SUPERSEDED, authority: Authority.USER });
    expect(leeds?.validTo).toEqual(at("2026-03-30T00:00:00Z"));
  });

  it("corrects what was said before, when it is certain what is meant", async () => {
    const { say, passed, told, facts } = customer();
    await say("I live in Leeds.");
    const correction = await say("Sorry, I meant Leicester, not Leeds.");
    await passed(correction);
    expect(await told()).toEqual(["me lives_in Leicester"]);
    const history = await facts(FactMode.HISTORY);
    expect(history.map((fact) => fact.told)).toEqual(["me lives_in Leicester"]);
  });

  it("leaves a correction that may be of several facts to a person", async () => {
    const { say, passed, told, memories, stages } = customer();
    await passed(await say("I like Berlin. I was born in Berlin. I live in Berlin."));
    const id = await say("I meant Bern, not Berlin.");
    await vi.waitFor(
      async () => expect((await stages(id))["resolved"]).toBe(IngestionStatus.PARKED),
      { timeout: 50_000, interval: 20 },
    );
    const before = await told();
    expect(before).toContain("me lives_in Berlin");
    const { parked } = await memories.listParkedClaims({});
    expect(new Set(parked.map(({ why }) => why))).toEqual(new Set(["ambiguous"]));
    const meant = parked.find(({ claims }) =>
      claims.some(({ predicate }) => predicate === "lives_in"),
    );
    for (const one of parked)
      await memories.reviewParkedClaims({ parkedId: one.id, accept: one === meant });
    expect((await told()).filter((fact) => fact.includes("lives_in"))).toEqual([
      "me lives_in Bern",
    ]);
    expect((await stages(id))["resolved"]).toBe(IngestionStatus.DONE);
  });

  it("parks what would end unusually many facts, and goes on when it was reviewed", async () => {
    const { say, passed, told, memories, stages, groupId } = customer();
    await memories.addClaims({
      claims: ["a", "b", "c", "d", "e", "f", "g", "h"].map((value) => ({
        groupId,
        kind: 1,
        subject: groupId,
        predicate: "allergic_to",
        value: { case: "literal", value: { kind: { case: "stringValue", value } } } as const,
        validFrom: at("2020-01-01T00:00:00Z"),
        authority: Authority.USER,
      })),
    });
    const text = ["a1", "b1", "c1", "d1", "e1", "f1"]
      .map((name) => `I'm allergic to ${name}.`)
      .join(" ");
    await passed(await say(text));
    const ends = ["a1", "b1", "c1", "d1", "e1", "f1"].map(
      (name) => `I'm no longer allergic to ${name}.`,
    );
    const id = await say(ends.join(" "));
    await vi.waitFor(
      async () => expect((await stages(id))["resolved"]).toBe(IngestionStatus.PARKED),
      { timeout: 50_000, interval: 20 },
    );
    const held = await told();
    expect(held).toHaveLength(14);
    const { parked } = await memories.listParkedClaims({});
    expect(parked).toMatchObject([{ why: "closes_many", factsEnded: 6 }]);
    await memories.reviewParkedClaims({ parkedId: parked[0]?.id ?? "", accept: true });
    expect(await told()).toHaveLength(8);
    expect((await stages(id))["resolved"]).toBe(IngestionStatus.DONE);
  });

  it("takes an episode as said by whoever speaks: an agent's word weighs less than the customer's", async () => {
    const { say, passed, facts } = customer();
    await passed(await say("You live in Ghent.", { role: EpisodeRole.AGENT }));
    await passed(await say("I live in Rome and you live in Oslo.", { role: EpisodeRole.DOCUMENT }));
    expect(await facts()).toMatchObject([
      { told: "me lives_in Ghent", authority: Authority.AGENT },
    ]);
  });

  it.each([
    ["another language", "Ich wohne in Berlin und meine Schwester heißt Anna."],
    [
      "emoji and control characters",
      "\u0007🎉🎉 \u200b\u202e I 💜 it \ufeff\u0001 so much 👩‍👩‍👧 \ud83d",
    ],
    ["nothing but signs", "!!! ??? ... \n\n\t ***"],
    ["one very long word", `I live in ${"x".repeat(60_000)}`],
    ["many quotes that never close", `"“„«'`.repeat(2_000)],
    ["a thousand commas", `I'm allergic to ${"a, ".repeat(1_000)}`],
  ])("stores %s, and comes to no harm", async (_, text) => {
    const { say, passed, memories, stages } = customer();
    const id = await say(text);
    await passed(id);
    expect((await stages(id))["extracted"]).toBe(IngestionStatus.DONE);
    expect((await memories.getEpisode({ episodeId: id })).episode?.text.length).toBeGreaterThan(0);
  });

  it("refuses a document of 1 MB, and says how long one may be", async () => {
    const { say } = customer();
    const refused = say("I live in Rome. ".repeat(65_536), { role: EpisodeRole.DOCUMENT });
    await expect(refused).rejects.toMatchObject({
      kind: "invalid",
      fields: [{ field: "episode.text", description: "must have at most 65536 characters" }],
    });
  });

  it("takes a stream of documents and events through every stage, once", async () => {
    const { memories, groupId, passed, told } = customer();
    const episodes = [
      { role: EpisodeRole.DOCUMENT, text: "Maria Gonzalez moved to Toronto in 2020." },
      { role: EpisodeRole.EVENT, text: "Henrik Larsen works at Globex." },
      { role: EpisodeRole.USER, text: "I live in Porto." },
    ].map((each, i) => ({
      ...each,
      groupId,
      customerId: groupId,
      ingestKey: `${groupId}:import:${i}`,
      occurredAt: at("2026-03-01T10:00:00Z"),
    }));
    async function* stream() {
      for (const episode of [...episodes, ...episodes]) yield { episode };
    }
    const added: boolean[] = [];
    for await (const answer of memories.addEpisodes(stream())) added.push(answer.added);
    expect(added).toEqual([true, true, true, false, false, false]);
    const { episodes: stored } = await memories.listEpisodes({ groupId });
    for (const { id } of stored) await passed(id);
    expect(await told()).toEqual([
      "Henrik Larsen works_at Globex",
      "Maria Gonzalez lives_in Toronto",
      "me lives_in Porto",
    ]);
  });

  it("reads again what it has read, and changes nothing", async () => {
    const { memories, say, passed, facts, groupId, stages } = customer();
    const ids = [await say("I live in Leeds."), await say("My sister Anna lives in Rome.")];
    for (const id of ids) await passed(id);
    const before = await facts(FactMode.HISTORY);
    expect(await memories.reprocessEpisodes({ stage: "extracted", groupId })).toMatchObject({
      entered: 2n,
    });
    await vi.waitFor(
      async () => {
        for (const id of ids)
          expect(await stages(id)).toMatchObject({
            extracted: IngestionStatus.DONE,
            resolved: IngestionStatus.DONE,
          });
      },
      { timeout: 50_000, interval: 20 },
    );
    expect(await facts(FactMode.HISTORY)).toEqual(before);
    await expect(memories.reprocessEpisodes({ stage: "stored" })).rejects.toMatchObject({
      kind: "invalid",
    });
  });

  it("says which entity a name stands for, and which may be one", async () => {
    const { memories, groupId, say, passed } = customer();
    await memories.addEntities({
      entities: [
        { groupId, name: "Northwind Traders", type: "organisation", aliases: ["Northwind"] },
        { groupId, name: "Jon Smith", type: "person" },
        { groupId, name: "Jon  smith", type: "person" },
      ],
    });
    await passed(await say("I work at northwind. My friend Jon Smith lives in Bath."));
    const { entities } = await memories.listEntities({ groupId, pageSize: 500 });
    expect(entities.filter(({ type }) => type === "organisation")).toHaveLength(1);
    // Two have the name, so the one who is meant is neither until a person says so.
    expect(entities.filter(({ type }) => type === "person")).toHaveLength(3);
    const { suggestions } = await memories.listEntitySuggestions({ groupId });
    expect(suggestions.map(({ a, b, score }) => [a?.type, b?.type, score])).toEqual([
      ["person", "person", 1],
      ["person", "person", 1],
      ["person", "person", 1],
    ]);
  });
});

describeOn("ingestion that cannot go on", testDatabase().slice(0, 1), (database) => {
  it("finds an episode by its words while the embedder is away, and embeds it later", async () => {
    let away = true;
    const server = createServer((req, res) => {
      if (away) {
        res.writeHead(503).end();
        return;
      }
      let body = "";
      req.on("data", (piece) => (body += piece));
      req.on("end", () => {
        const { input } = JSON.parse(body) as { input: string[] };
        const data = input.map((_, index) => ({ index, embedding: [1, ...Array(7).fill(0)] }));
        res.writeHead(200, { "content-type": "application/json" });
        res.end(JSON.stringify({ object: "list", data, model: "m", usage: {} }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.address() as AddressInfo;
    const embedder = {
      provider: "openai",
      model: "m",
      dimensions: 8,
      base_url: `http://127.0.0.1:${port}`,
    };
    await using running = await runMemory({
      database,
      embedder,
      memory: { embed_poll_ms: 20, embed_retry_ms: 10, embed_retry_max_ms: 50 },
    });
    const tenantId = newId();
    const memories = running.mesh.as(testIdentity({ tenantId }))(MemoryService);
    const { episode } = await memories.addEpisode({
      episode: {
        groupId: "g",
        customerId: "g",
        ingestKey: "k",
        role: EpisodeRole.USER,
        text: "I live in Leeds.",
      },
    });
    const episodeId = episode?.id ?? "";
    const stage = async (name: string) =>
      (await memories.getEpisode({ episodeId })).episode?.stages.find((one) => one.name === name);
    const wait = { timeout: 50_000, interval: 20 };
    await vi.waitFor(async () => {
      expect((await stage("embedded"))?.status).toBe(IngestionStatus.FAILED);
      expect((await stage("resolved"))?.status).toBe(IngestionStatus.DONE);
    }, wait);
    expect((await stage("embedded"))?.failed).not.toBe("");
    const { facts } = await memories.queryFacts({ groupIds: ["g"] });
    expect(facts).toHaveLength(1); // one stage that fails holds up no other
    away = false;
    await vi.waitFor(
      async () => expect((await stage("embedded"))?.status).toBe(IngestionStatus.DONE),
      wait,
    );
    server.close();
  });
});
