import { newId } from "@soldier/kernel/ids";
import { tenantSql } from "@soldier/storage/tenant";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { inboxMigrations } from "@soldier/events/inbox";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { valueKey } from "../domain/claim.ts";
import type { NewEpisode } from "../domain/episode.ts";
import type { Extractor } from "../extract/extractor.ts";
import { lexiconOf } from "../extract/lexicon.ts";
import { extractByPatterns } from "../extract/pattern-extractor.ts";
import { ingestionBacklogs } from "../store/ingestion-backlogs.ts";
import { postgresFactStore } from "../store/postgres-facts.ts";
import { postgresResolutions } from "../store/postgres-resolutions.ts";
import { postgresEpisodeStore } from "../store/postgres.ts";
import type { StageBacklog } from "../store/stage-backlog.ts";
import { extractEpisodes } from "./extract-episodes.ts";
import { resolveEpisodes } from "./resolve-episodes.ts";
import type { StageWork } from "./stage-worker.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

/** Crowded on few slots, and without a list's order saying anything. */
const sayings = [
  "I live in Leeds.",
  "I moved to Rome in 2019.",
  "I no longer live in Leeds.",
  "I live in Oslo since January 2022.",
  "I worked at Globex from 2018 to 2021.",
  "I left Globex in 2020.",
  "My sister Anna lives in Rome.",
  "I'm allergic to nuts.",
  "I'm no longer allergic to nuts.",
  "Where is my parcel?",
] as const;

/** How a worker dies: before its work, or after it and before it is kept. Or it puts its work off. */
const crashes = ["never", "before", "between", "later"] as const;
type Crash = (typeof crashes)[number];

const readPatterns: Extractor = async (episodes) =>
  episodes.map(({ episode, names }) =>
    extractByPatterns(episode, {
      lexicon: lexiconOf(names),
      identifiers: [],
      country: undefined,
    }),
  );

describeOn("ingestion", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  beforeAll(async () => {
    opened = await backend.open();
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  function world() {
    const { sql } = opened;
    const resolutions = postgresResolutions(sql);
    const limits = { factsMax: 1_000, shareMax: 1 };
    const { extracted, resolved } = ingestionBacklogs(sql, { model: "m", limits });
    const extracting = extractEpisodes(readPatterns, resolutions, [
      { name: "Globex", type: "organisation" },
    ]);
    return {
      episodes: postgresEpisodeStore(sql, ["extracted"]),
      facts: postgresFactStore(sql),
      extract: (crash: Crash) => step(extracted, extracting, crash),
      resolve: (crash: Crash) => step(resolved, resolveEpisodes(resolutions), crash),
    };
  }

  async function step<T>(backlog: StageBacklog<T>, work: StageWork<T>, crash: Crash) {
    const signal = new AbortController().signal;
    const died = new Error("the worker died");
    try {
      const due = await backlog.next(3, 60_000, async (given) => {
        if (crash === "before") throw died;
        if (crash === "later") return given.map(() => ({ kind: "waits", forMs: 0 }));
        const outcomes = await work(given, signal);
        if (crash === "between") throw died;
        return outcomes;
      });
      return due.length;
    } catch (error) {
      if (error !== died) throw error;
      return 1;
    }
  }

  const episodesOf = (said: readonly string[], groupId: string): readonly NewEpisode[] =>
    said.map((text, i) => ({
      id: newId(),
      groupId,
      customerId: groupId,
      agentId: "",
      sessionId: "s",
      turnId: `t${i}`,
      ingestKey: `${groupId}:${i}`,
      role: "user",
      text,
      occurredAt: new Date(Date.UTC(2026, 2, 1, 10, i)),
    }));

  async function finish({ extract, resolve }: ReturnType<typeof world>) {
    while ((await extract("never")) + (await resolve("never")) > 0);
  }

  async function believed({ facts }: ReturnType<typeof world>, tenantId: string, groupId: string) {
    expect(await facts.rebuild(tenantId, groupId)).toBe(0); // P13
    const query = { groupIds: [groupId], subject: undefined, object: undefined, predicates: [] };
    const rest = { recordedAt: undefined, valid: undefined, limit: 500, after: undefined };
    const { facts: found } = await facts.facts(tenantId, { ...query, ...rest });
    return found
      .map(({ subject, predicate, value, from, to }) =>
        JSON.stringify([subject, predicate, valueKey(value), from, String(to)]),
      )
      .toSorted();
  }

  it("comes to the same by any order, however often it dies between any two stages (P3, P5, P14, P15)", async () => {
    const script = fc.record({
      said: fc.array(fc.constantFrom(...sayings), { minLength: 2, maxLength: 7 }),
      seed: fc.array(fc.nat(), { minLength: 7, maxLength: 7 }),
      dies: fc.array(fc.constantFrom(...crashes), { maxLength: 8 }),
      twice: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(script, async ({ said, seed, dies, twice }) => {
        // Ids are made from groups and names, so both worlds have the same ones but for the tenant.
        const [calm, rough, groupId] = [newId(), newId(), newId()];
        const given = episodesOf(said, groupId);
        const plain = world();
        for (const episode of given) await plain.episodes.add(calm, [episode]);
        await finish(plain);

        const [one, other] = [world(), world()];
        const shuffled = given
          .map((episode, i) => ({ episode: { ...episode, id: newId() }, at: seed[i] ?? 0 }))
          .toSorted((a, b) => a.at - b.at);
        for (const [i, { episode }] of shuffled.entries()) {
          await one.episodes.add(rough, [episode]);
          if (twice) await other.episodes.add(rough, [{ ...episode, id: newId() }]);
          const crash = dies[i] ?? "never";
          await Promise.all([one.extract(crash), other.extract("never")]);
          await Promise.all([one.resolve("never"), other.resolve(crash)]);
        }
        await Promise.all([finish(one), finish(other)]);
        await finish(one);
        expect(await believed(one, rough, groupId)).toEqual(await believed(plain, calm, groupId));
      }),
      { numRuns: 12 },
    );
  });

  it("drops the reading of an episode that nobody waits for any more", async () => {
    const tenantId = newId();
    const { episodes, facts, extract } = world();
    const [given] = episodesOf(["I live in Leeds."], "g");
    if (!given) throw new Error("there is one");
    await episodes.add(tenantId, [given]);
    await extract("never");
    const { sql } = opened;
    const limits = { factsMax: 5, shareMax: 1 };
    const { resolved } = ingestionBacklogs(sql, { model: "m", limits });
    const resolving = resolveEpisodes(postgresResolutions(sql));
    await resolved.next(10, 60_000, async (due) => {
      const outcomes = await resolving(due, new AbortController().signal);
      await tenantSql(sql, tenantId)`
        delete from backlog where tenant_id = ${tenantId}`; // erased meanwhile
      return outcomes;
    });
    const query = { groupIds: ["g"], subject: undefined, object: undefined, predicates: [] };
    const rest = { recordedAt: undefined, valid: undefined, limit: 500, after: undefined };
    expect((await facts.facts(tenantId, { ...query, ...rest })).facts).toEqual([]);
  });
});
