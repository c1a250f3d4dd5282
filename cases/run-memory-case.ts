import { isDeepStrictEqual } from "node:util";
import { fromJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { audit } from "@soldier/audit/service";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { memory } from "@soldier/memory/service";
import { profile } from "@soldier/profile/service";
import { type FactVersion, IngestionStatus } from "@soldier/proto/memory/v1/memory";
import { EntityDecision, FactMode, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { session } from "@soldier/session/service";
import type { MemoryCase, ReadMemoryCase } from "./memory-file.ts";
import { makeWorld, type MemoryClient, recordedBy, timeOf, type World } from "./memory-world.ts";
import type { Outcome } from "./run-file.ts";

/** The memory service on this database, with those that an erasure goes to. */
export async function openMemory(
  databaseUrl: string,
  opened: AsyncDisposableStack,
): Promise<TestMesh> {
  return opened.use(
    await runForTest([memory, session, profile, audit], {
      settings: {
        postgres: { url: databaseUrl, max_connections: 4 },
        events: { url: `inproc://${newId()}?consumers=memory,audit,profile` },
        embedder: { provider: "deterministic" },
        memory: { extraction: "off" }, // a case says itself what is claimed
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
  const { ids, decision, error: refused } = read.case.expect;
  if (!ids && !decision && !refused)
    return ended("fail", ["cannot check: it expects no ids, no decision and no error"]);
  try {
    const memories = (await mesh()).as(testIdentity())(MemoryService);
    const problems = await problemsOf(read.case, memories);
    return ended(problems.length > 0 ? "fail" : "ok", problems);
  } catch (error) {
    const told = error instanceof Fault ? `${error.reason}: ${error.message}` : String(error);
    return ended("fail", [told]);
  }
}

async function problemsOf(given: MemoryCase, memories: MemoryClient): Promise<readonly string[]> {
  const world = await makeWorld(given, memories);
  if (!given.expect.error) return ask(given, memories, world);
  try {
    await ask(given, memories, world);
  } catch (error) {
    if (error instanceof Fault && error.kind === "invalid") return [];
    throw error;
  }
  return ["error: expected the question to be refused, and it was answered"];
}

/** Asks the question, and tells how the answer is not as expected. */
async function ask(given: MemoryCase, memories: MemoryClient, world: World) {
  switch (given.query.op) {
    case "facts":
      return askFacts(given, memories, world);
    case "episodes":
      return askEpisodes(given, memories, world);
    case "entities":
      return askEntities(given, memories);
    case "summaries":
      return askSummaries(given, memories, world);
    case "resolve_entity":
      return askName(given, memories);
    case "node_distance":
    case "episode_mentions":
      return askOrder(given, memories, world);
  }
}

function groupsOf({ query }: MemoryCase): string[] {
  return query.groups ?? [query.group ?? "g"];
}

function asOf({ given, query }: MemoryCase, world: World) {
  const valid = timeOf(query.as_of_valid ?? given.now);
  const recorded = query.as_of_recorded && recordedBy(world, query.as_of_recorded);
  return recorded ? { valid, recorded } : { valid };
}

const modes = {
  current: FactMode.AT, // of the case's own now
  at: FactMode.AT,
  overlap: FactMode.OVERLAP,
  history: FactMode.HISTORY,
} as const;

async function askFacts(given: MemoryCase, memories: MemoryClient, world: World) {
  const { query } = given;
  const { facts } = await memories.queryFacts({
    groupIds: groupsOf(given),
    subject: query.subject ?? "",
    object: query.object ?? "",
    predicates: query.predicates,
    asOf: asOf(given, world),
    mode: modes[query.mode],
    ...(query.from && { overlapFrom: timeOf(query.from) }),
    ...(query.to && { overlapTo: timeOf(query.to) }),
    validFrom: timeGroups(query.valid_from),
    validTo: timeGroups(query.valid_to),
    attributes: query.attrs.map(({ name, op, value }) => {
      const there = value !== undefined && value !== null;
      return { name, comparison: op, ...(there && { value: fromJson(ValueSchema, value) }) };
    }),
    objectTypes: query.object_types,
    subjectTypes: query.subject_types,
    pageSize: query.limit ?? 500,
  });
  return factProblems(given, facts, world);
}

function timeGroups(groups: MemoryCase["query"]["valid_from"]) {
  return groups.map((group) => ({
    all: group.map(({ op, value }) => ({ comparison: op, ...(value && { time: timeOf(value) }) })),
  }));
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

async function askEpisodes(given: MemoryCase, memories: MemoryClient, world: World) {
  const { hits } = await memories.search({
    query: `said ${given.given.episodes.map(({ text = "" }) => text).join(" ")}`.slice(0, 2_000),
    groupIds: groupsOf(given),
    asOf: asOf(given, world),
    hitsMax: given.query.limit ?? 100,
  });
  const found = hits.flatMap((hit) => (hit.found.case === "episode" ? [hit.found.value.id] : []));
  return unlike("ids", given.expect.ids, named(found, world));
}

async function askEntities(given: MemoryCase, memories: MemoryClient) {
  const pages = await Promise.all(
    groupsOf(given).map((groupId) => memories.listEntities({ groupId, pageSize: 500 })),
  );
  const ids = pages.flatMap(({ entities }) => entities.map(({ id }) => id));
  return unlike("ids", given.expect.ids, ids);
}

async function askSummaries(given: MemoryCase, memories: MemoryClient, world: World) {
  const pages = await Promise.all(
    groupsOf(given).map((groupId) => memories.listSummaries({ groupId, pageSize: 500 })),
  );
  const there = pages.flatMap(({ summaries }) => summaries);
  const known = new Set(world.summaries.values());
  const [kept, anew] = [
    there.filter(({ id }) => known.has(id)),
    there.filter(({ id }) => !known.has(id)),
  ];
  const left = named(
    kept.map(({ id }) => id),
    world,
  );
  const withdrawn = given.given.summaries.filter(({ id }) => !left.includes(id));
  const problems = [...unlike("ids", given.expect.ids, left)];
  if (!given.expect.stale) return problems;
  problems.push(
    ...unlike(
      "stale",
      given.expect.stale,
      withdrawn.map(({ id }) => id),
    ),
  );
  // What is left of their inputs waits to be summed up anew, or was already.
  for (const input of withdrawn.flatMap(({ inputs }) => inputs)) {
    const episodeId = world.episodes.get(input);
    if (episodeId === undefined || world.erased.has(input)) continue;
    if (anew.some(({ inputIds }) => inputIds.includes(episodeId))) continue;
    const { episode } = await memories.getEpisode({ episodeId });
    const stage = episode?.stages.find(({ name }) => name === "summarised");
    if (!stage || stage.status === IngestionStatus.DONE)
      problems.push(`stale: ${input} does not wait to be summed up anew`);
  }
  return problems;
}

const decisions: Readonly<Record<number, string | undefined>> = {
  [EntityDecision.MATCH]: "match",
  [EntityDecision.AMBIGUOUS]: "ambiguous",
  [EntityDecision.NEW]: "new",
};

async function askName({ query, expect }: MemoryCase, memories: MemoryClient) {
  if (!query.mention) throw new Error("cannot check: resolve_entity needs query.mention");
  const { name, type } = query.mention;
  const answer = await memories.resolveEntity({ groupId: query.group ?? "g", name, type });
  const decision = decisions[answer.decision];
  const problems =
    decision === expect.decision
      ? []
      : [`decision: expected ${JSON.stringify(expect.decision)}, got ${JSON.stringify(decision)}`];
  const ids = expect.id === undefined ? expect.ids : [expect.id];
  if (ids) problems.push(...unlike("ids", ids, answer.entityIds));
  if (expect.suggestions) {
    const suggested = answer.suggestions.map(({ entityId }) => entityId);
    problems.push(...unlike("suggestions", expect.suggestions, suggested));
  }
  return problems;
}

/** Here the order counts. */
async function askOrder(given: MemoryCase, memories: MemoryClient, world: World) {
  const { query, expect } = given;
  if (query.op === "node_distance" && query.center === undefined)
    throw new Error("cannot check: node_distance needs query.center");
  const { entities } = await memories.rankEntities({
    groupId: query.group ?? "g",
    entityIds: query.candidates,
    nearEntityId: query.center ?? "",
    asOf: asOf(given, world),
  });
  const got = entities.map(({ entityId }) => entityId);
  return isDeepStrictEqual(got, expect.ids)
    ? []
    : [`ids: expected ${JSON.stringify(expect.ids)}, got ${JSON.stringify(got)}`];
}

function named(ids: readonly string[], { names }: World): string[] {
  return ids.map((id) => names.get(id) ?? id);
}

/** Sets are compared: no order is promised. */
function unlike(what: string, expected: readonly string[] = [], got: readonly string[]): string[] {
  if (isDeepStrictEqual(expected.toSorted(), got.toSorted())) return [];
  return [`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`];
}
