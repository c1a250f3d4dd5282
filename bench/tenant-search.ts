// How fast, and how well, a whole tenant is searched by pgvector: see memory-search.ts.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { embedderSettings, openEmbedder } from "@soldier/ai/settings";
import { runTogether } from "@soldier/chassis/run";
import { callAs, testIdentity, testSettings } from "@soldier/chassis/testing";
import { ownSchema } from "@soldier/memory/schema";
import { memory } from "@soldier/memory/service";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { leftOut } from "@soldier/storage/optional-parts";
import { tenantSql } from "@soldier/storage/tenant";
import postgres, { type Sql } from "postgres";
import { begunMs, fillTenant } from "./fill-tenant.ts";
import { percentile } from "./load.ts";
import { randomFrom, talker, vectors } from "./made-up.ts";

export interface TenantSearch {
  /** A login that may make databases and leave out triggers: a superuser. */
  readonly url: string;
  readonly episodes: number;
  readonly searches: number;
  readonly effort: number;
  /** Leaves the database, and takes the one that an earlier run has left. */
  readonly keep: boolean;
}

const dimensions = 384;
const topics = 5_000;
const tenantId = "bench";
/** Another tenant has so much less, whose rows are in the same tables and indexes. */
const otherShare = 50;
const warmUp = 100;
const recallQueries = 50;
const hitsMax = 10;
/** What the service asks of the vectors' index. */
const candidates = 50;

/** Figures of a tenant of so many episodes; a string says why there are none. */
export async function tenantSearch(options: TenantSearch): Promise<object | string> {
  const { episodes, searches, effort, keep } = options;
  await using opened = new AsyncDisposableStack();
  const connect = (url: string, connection: object = {}) => {
    const sql = postgres(url, { max: 1, onnotice: () => {}, connection });
    opened.defer(() => sql.end());
    return sql;
  };
  const server = connect(options.url);
  const [part] = ownSchema.optional ?? [];
  const [available] = await server`select from pg_available_extensions where name = 'vector'`;
  if (!part || !available) return "not measured: this PostgreSQL has no pgvector";

  const name = `soldier_bench_${episodes}`;
  const url = Object.assign(new URL(options.url), { pathname: `/${name}` }).href;
  const [kept] = await server`select from pg_database where datname = ${name}`;
  if (kept && !keep) return `not measured: the database ${name} is there; drop it, or use --keep`;
  if (!kept) await server`create database ${server(name)}`;
  if (!keep)
    opened.defer(async () => void (await server`drop database ${server(name)} with (force)`));
  const owner = connect(url, { search_path: "memory,public" });
  await owner`create extension if not exists vector`;
  const why = await leftOut(owner, part);
  if (why !== undefined) return `not measured: ${why}`;

  const embedder = embedderSettings.parse({ provider: "deterministic", dimensions });
  const { model } = openEmbedder(embedder, opened);
  const running = opened.use(
    await runTogether([memory], {
      settings: testSettings({
        postgres: { url },
        events: { url: "inproc://bench" },
        embedder,
        memory: { summaries: "off", extraction: "off", tenant_wide_effort: effort },
      }),
    }),
  );
  const built = kept ? {} : await fill(owner, url, model, episodes);
  await owner`set jit = off`;

  const random = randomFrom(kept ? Date.now() : 2);
  const [textOf, vectorOf] = [talker(random), vectors(dimensions, topics, random)];
  const client = callAs(running.call, testIdentity({ tenantId }))(MemoryService);
  const asService = tenantSql(
    connect(url, { search_path: "memory,public", role: "soldier_memory" }),
    tenantId,
  );
  const question = () => ({
    text: textOf(9),
    vector: [...vectorOf(Math.floor(random() * topics))],
  });

  async function search(over: object = {}): Promise<number> {
    const { text, vector } = question();
    const askedMs = performance.now();
    const found = await client.search({
      query: text,
      everyGroup: true,
      embedding: { model, values: vector },
      hitsMax,
      ...over,
    });
    const ms = performance.now() - askedMs;
    if (found.hits.length < hitsMax) throw new Error("a search found less than there is");
    if (found.partial) throw new Error("a search did not look at everything");
    return ms;
  }
  const byVector = (vector: readonly number[]) => asService<{ id: string }[]>`
    select id from episodes_by_vector(${tenantId}, ${model}, ${[...vector]}::real[], null, null, '',
      ${candidates}, ${effort}, null) as id`;
  const [common] = await asService<{ words: string }[]>`
    select common_words(${tenantId})::text as words`;
  const byWords = (text: string) => asService`
    select episodes_by_words(${tenantId}, ${text.split(" ")}::text[], ${common?.words ?? "{}"}::text::jsonb,
      null, null, '', 30)`;

  const coldMs = await search();
  await repeated(warmUp, () => search());
  // Half of what was said had not been said by then: the filter is inside the scan.
  const asOf = { valid: timestampFromMs(begunMs + episodes * 10) };
  return {
    episodes,
    dimensions,
    effort,
    searches,
    ...built,
    coldMs: round(coldMs),
    search: figures(await repeated(searches, () => search())),
    searchAsOfTheMiddle: figures(await repeated(searches, () => search({ asOf }))),
    ofItVectors: figures(await repeated(searches, () => timed(byVector(question().vector)))),
    ofItWords: figures(await repeated(searches, () => timed(byWords(question().text)))),
    recallAt10: await recall(owner, model, vectorOf, random, byVector),
  };
}

async function fill(owner: Sql, url: string, model: string, episodes: number): Promise<object> {
  const random = randomFrom(3);
  const said = {
    url,
    model,
    textOf: talker(random),
    vectorOf: vectors(dimensions, topics, random),
  };
  const begunFillMs = performance.now();
  const indexes = await owner<{ name: string; made: string }[]>`
    select indexname as name, indexdef as made from pg_indexes
    where schemaname = 'memory' and (indexdef like '%hnsw%' or indexdef like '% gin (words)%')`;
  for (const { name } of indexes) await owner`drop index ${owner(name)}`;
  await fillTenant({ ...said, tenantId, episodes });
  await fillTenant({ ...said, tenantId: "other", episodes: Math.ceil(episodes / otherShare) });
  const begunIndexMs = performance.now();
  // As much as an operator would give it: an index that does not fit is made many times slower.
  await owner`set maintenance_work_mem = '4GB'`;
  for (const { made } of indexes) await owner.unsafe(made);
  const doneMs = performance.now();
  await owner`vacuum analyze`;
  const [size] = await owner<{ vectors: number; index: number; words: number }[]>`
    select pg_table_size('episode_vectors')::float8 as vectors,
      (select sum(pg_relation_size(indexrelid)) from pg_index
        where pg_get_indexdef(indexrelid) like '%hnsw%')::float8 as index,
      pg_total_relation_size('episode_words')::float8 as words`;
  const mb = (bytes: number | undefined) => Math.round((bytes ?? 0) / 1e6);
  return {
    fillSeconds: Math.round((begunIndexMs - begunFillMs) / 1_000),
    indexSeconds: Math.round((doneMs - begunIndexMs) / 1_000),
    vectorsMb: mb(size?.vectors),
    indexMb: mb(size?.index),
    wordsMb: mb(size?.words),
  };
}

/** The share of the ten nearest, by comparison with every vector in half precision, that is among the candidates. */
async function recall(
  owner: Sql,
  model: string,
  vectorOf: (topic: number) => Float32Array,
  random: () => number,
  byVector: (vector: readonly number[]) => Promise<readonly { readonly id: string }[]>,
): Promise<number> {
  let found = 0;
  for (let i = 0; i < recallQueries; i++) {
    const vector = [...vectorOf(Math.floor(random() * topics))];
    const exact = await tenantSql(owner, tenantId)<{ id: string }[]>`
      select episode_id as id from episode_vectors
      where tenant_id = ${tenantId} and model = ${model}
      order by (vector <=> ${vector}::real[]::halfvec) + 0 limit 10`;
    const near = new Set((await byVector(vector)).map(({ id }) => id));
    found += exact.filter(({ id }) => near.has(id)).length;
  }
  return found / (10 * recallQueries);
}

async function timed(work: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work;
  return performance.now() - begun;
}

async function repeated(times: number, work: () => Promise<number>): Promise<readonly number[]> {
  const took: number[] = [];
  for (let i = 0; i < times; i++) took.push(await work());
  return took;
}

function figures(tookMs: readonly number[]): object {
  return {
    p50ms: round(percentile(tookMs, 0.5)),
    p95ms: round(percentile(tookMs, 0.95)),
    maxMs: round(Math.max(...tookMs)),
  };
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}
