import { isDeepStrictEqual } from "node:util";
import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { memory } from "@soldier/memory/service";
import {
  Authority,
  Cardinality,
  ClaimKind,
  EpisodeRole,
  type FactVersion,
} from "@soldier/proto/memory/v1/memory";
import { FactMode, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { type MemoryCase, notBuilt, type ReadMemoryCase } from "./memory-file.ts";
import type { Outcome } from "./run-file.ts";

/** The memory service by itself, on this database. */
export async function openMemory(
  databaseUrl: string,
  opened: AsyncDisposableStack,
): Promise<TestMesh> {
  return opened.use(
    await runForTest([memory], {
      settings: {
        postgres: { url: databaseUrl, max_connections: 4 },
        events: { url: `inproc://${newId()}?consumers=memory` },
        embedder: { provider: "deterministic" },
      },
    }),
  );
}

export async function runMemoryCase(
  read: ReadMemoryCase,
  mesh: () => Promise<TestMesh>,
): Promise<Outcome> {
  const startedMs = performance.now();
  const { id, title, area } = read;
  const ended = (outcome: Outcome["outcome"], reasons: readonly string[]): Outcome => ({
    id,
    title,
    area,
    outcome,
    reasons,
    ms: Math.round(performance.now() - startedMs),
  });
  if (!read.case) return ended("fail", read.problems);
  const missing = notBuilt(read.case);
  if (missing) return ended("skip", [missing]);
  if (!read.case.expect.ids) return ended("fail", ["cannot check: it expects no ids"]);
  try {
    const problems = await problemsOf(read.case, (await mesh()).as(testIdentity())(MemoryService));
    return ended(problems.length > 0 ? "fail" : "ok", problems);
  } catch (error) {
    const told = error instanceof Fault ? `${error.reason}: ${error.message}` : String(error);
    return ended("fail", [told]);
  }
}

type MemoryClient = ReturnType<typeof clientOf>;
const clientOf = (mesh: TestMesh) => mesh.as(testIdentity())(MemoryService);

/** What the service calls the things of a case, and the recorded times that it gave them. */
interface World {
  readonly episodes: Map<string, string>;
  /** The case's names of stored claims and episodes; of two that are one, the first. */
  readonly names: Map<string, string>;
  /** Given recorded times, in order, with the time at which that was stored. */
  readonly recorded: { readonly given: string; readonly at: Timestamp }[];
}

const timeOf = (text: string) => timestampFromDate(new Date(`${text}T00:00:00Z`));

/**
 * Recorded times are the service's own: what the case has recorded on a day is stored in that order,
 * and a question as of that day is asked as of the last that was stored by then.
 */
async function problemsOf(given: MemoryCase, memories: MemoryClient): Promise<readonly string[]> {
  const world: World = { episodes: new Map(), names: new Map(), recorded: [] };
  const { predicates, entities } = given.given;
  await memories.setPredicates({
    predicates: Object.entries(predicates).map(([name, cardinality]) => ({
      name,
      cardinality: cardinality === "one" ? Cardinality.ONE : Cardinality.MANY,
    })),
  });
  if (entities.length > 0)
    await memories.addEntities({
      entities: entities.map(({ id, name, type, aliases, group: groupId }) => {
        return { id, name, type, aliases, groupId };
      }),
    });
  for (const step of stepsOf(given, memories, world)) await step.run();
  const { query } = given;
  const groupIds = query.groups ?? [query.group ?? "g"];
  const recorded = query.as_of_recorded && recordedBy(world, query.as_of_recorded);
  const valid = timeOf(query.as_of_valid ?? given.given.now);
  const asOf = recorded ? { valid, recorded } : { valid };
  if (query.op === "episodes") {
    const { hits } = await memories.search({ query: "said", groupIds, asOf, hitsMax: 100 });
    const found = hits.flatMap((hit) => (hit.found.case === "episode" ? [hit.found.value.id] : []));
    return unlike(
      "ids",
      given.expect.ids,
      found.map((id) => world.names.get(id) ?? id),
    );
  }
  const mode = query.mode === "history" ? FactMode.HISTORY : FactMode.AT;
  const { subject = "", predicates: only } = query;
  const { facts } = await memories.queryFacts({
    groupIds,
    subject,
    predicates: only,
    asOf,
    mode,
    pageSize: 500,
  });
  return factProblems(given, facts, world);
}

function factProblems(given: MemoryCase, facts: readonly FactVersion[], world: World) {
  const nameOf = ({ claimIds: [first = ""] }: FactVersion) => world.names.get(first) ?? first;
  const dayOf = (time: Timestamp | undefined) =>
    time ? timestampDate(time).toISOString().slice(0, 10) : null;
  const problems = [...unlike("ids", given.expect.ids, facts.map(nameOf))];
  for (const [id, expected] of Object.entries(given.expect.intervals ?? {})) {
    const fact = facts.find((each) => nameOf(each) === id);
    const got = fact && [dayOf(fact.validFrom), dayOf(fact.validTo)];
    if (!isDeepStrictEqual(got, expected))
      problems.push(
        `intervals.${id}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`,
      );
  }
  const sourceOf = new Map(given.given.claims.map(({ id, episode }) => [id, episode]));
  for (const [id, expected] of Object.entries(given.expect.sources ?? {})) {
    const claims = facts.find((each) => nameOf(each) === id)?.claimIds ?? [];
    const got = claims.flatMap((claim) => sourceOf.get(world.names.get(claim) ?? "") ?? []);
    problems.push(...unlike(`sources.${id}`, expected, [...new Set(got)]));
  }
  return problems;
}

/** Sets are compared: no order is promised. */
function unlike(what: string, expected: readonly string[] = [], got: readonly string[]): string[] {
  if (isDeepStrictEqual(expected.toSorted(), got.toSorted())) return [];
  return [`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`];
}

/** The last time at which anything was stored that the case has recorded by that day. */
function recordedBy({ recorded }: World, day: string): Timestamp {
  return recorded.findLast(({ given }) => given <= day)?.at ?? timeOf("1970-01-01");
}

interface Step {
  readonly given: string;
  run(): Promise<void>;
}

/** All that is stored, by its recorded day; of one day in the order given, episodes first. */
function stepsOf({ given }: MemoryCase, memories: MemoryClient, world: World): readonly Step[] {
  const named = new Set(given.claims.map(({ id }) => id));
  const noted = async (day: string, at: Timestamp | undefined) => {
    if (!at) throw new Error("what is stored has a recorded time");
    world.recorded.push({ given: day, at });
    // Episodes of one millisecond would be recorded at one time.
    while (Date.now() <= timestampDate(at).getTime() + 1) await new Promise(setImmediate);
  };
  const episodes = given.episodes.map((each) => ({
    given: each.recorded_at,
    async run() {
      const { episode } = await memories.addEpisode({
        episode: {
          ingestKey: each.key ?? each.id,
          groupId: each.group,
          customerId: each.group,
          role: EpisodeRole.USER,
          text: `said in ${each.id}`,
          occurredAt: timeOf(each.occurred_at),
        },
      });
      const id = episode?.id ?? "";
      world.episodes.set(each.id, id);
      if (!world.names.has(id)) world.names.set(id, each.id);
      await noted(each.recorded_at, episode?.recordedAt);
    },
  }));
  const claims = given.claims.map((each) => ({
    given: each.recorded_at,
    async run() {
      if (each.target !== undefined && !named.has(each.target))
        throw new Error(`cannot check: ${each.id} names ${each.target}, which is not there`);
      const until = each.kind === "end" ? each.at : each.to;
      const episodeId = each.episode === undefined ? "" : world.episodes.get(each.episode);
      if (episodeId === undefined) throw new Error(`cannot check: no episode ${each.episode}`);
      const { claims: stored } = await memories.addClaims({
        claims: [
          {
            // What was said in an episode has its id from there.
            id: episodeId === "" ? each.id : "",
            groupId: each.group,
            kind: kinds[each.kind],
            subject: each.s ?? "",
            predicate: each.p ?? "",
            ...(each.o !== undefined && { value: { case: "object", value: each.o } as const }),
            ...(each.kind === "assert" && each.from && { validFrom: timeOf(each.from) }),
            ...(until && { validTo: timeOf(until) }),
            targetClaimId: idOf(world, each.target),
            episodeId,
            authority: each.authority ? authorities[each.authority] : Authority.USER,
          },
        ],
      });
      const [claim] = stored;
      if (!claim) throw new Error(`${each.id} was parked`);
      if (!world.names.has(claim.id)) world.names.set(claim.id, each.id);
      await noted(each.recorded_at, claim.recordedAt);
    },
  }));
  const merges = given.merges.flatMap((each): Step[] => {
    let mergeId = "";
    const merge = {
      given: each.recorded_at,
      async run() {
        const done = await memories.mergeEntities({ fromEntityId: each.from, toEntityId: each.to });
        mergeId = done.merge?.id ?? "";
        await noted(each.recorded_at, done.merge?.recordedAt);
      },
    };
    const { undone_at: undoneAt } = each;
    if (!undoneAt) return [merge];
    const unmerge = {
      given: undoneAt,
      async run() {
        const undone = await memories.unmergeEntities({ mergeId });
        await noted(undoneAt, undone.merge?.undoneAt);
      },
    };
    return [merge, unmerge];
  });
  return [...episodes, ...claims, ...merges].toSorted((a, b) =>
    a.given < b.given ? -1 : a.given > b.given ? 1 : 0,
  );
}

function idOf({ names }: World, name: string | undefined): string {
  if (name === undefined) return "";
  for (const [id, known] of names) if (known === name) return id;
  return name;
}

const kinds = {
  assert: ClaimKind.ASSERT,
  end: ClaimKind.END,
  retract: ClaimKind.RETRACT,
} as const;

const authorities = {
  inferred: Authority.INFERRED,
  agent: Authority.AGENT,
  user: Authority.USER,
  verified: Authority.VERIFIED,
} as const;
