// How fast the memory service searches one group of many turns. The group is stored and embedded through
// the running service on a real PostgreSQL; then Search is asked one call after the other, in this process,
// with the query's vector at hand, as in a turn. "cold" is the first search, which reads the group from
// PostgreSQL. Vectors are of the dimensions of the default embedder, but made from letters: what they
// mean makes no difference to the time.
//
//   npm run bench:memory-search                         10,000 turns, 500 searches
//   npm run bench:memory-search -- --turns 1000 --searches 100 --postgres URL --facts
//
// And how fast and how well a whole tenant is searched, on a PostgreSQL with pgvector, in a database of its
// own there, beside a smaller tenant: vectors around topics and made-up words, put in by COPY.
//
//   npm run bench:memory-search -- --tenant-wide 1000000 --postgres URL [--effort 600] [--keep]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { embedOne } from "@soldier/ai/embedder";
import { embedderSettings, openEmbedder } from "@soldier/ai/settings";
import { runTogether } from "@soldier/chassis/run";
import { callAs, testIdentity, testSettings } from "@soldier/chassis/testing";
import { newId } from "@soldier/kernel/ids";
import { memory } from "@soldier/memory/service";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { embeddedPostgres } from "@soldier/storage/embedded";
import postgres from "postgres";
import { percentile } from "./load.ts";
import { talker } from "./made-up.ts";
import { tenantSearch } from "./tenant-search.ts";

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: "10000" },
    searches: { type: "string", default: "500" },
    /** A server to use instead of one of our own. */
    postgres: { type: "string" },
    /** Facts and summaries beside the episodes. */
    facts: { type: "boolean", default: false },
    /** Episodes of a tenant that is searched as a whole. */
    "tenant-wide": { type: "string" },
    /** The setting tenant_wide_effort. */
    effort: { type: "string", default: "600" },
    /** Leaves the tenant's database for the next run. */
    keep: { type: "boolean", default: false },
  },
});
const [turns, searches] = [values.turns, values.searches].map(Number);
if (!turns || !searches) {
  console.error(
    "usage: npm run bench:memory-search -- [--turns N] [--searches N] [--postgres URL]",
  );
  process.exit(2);
}

if (values["tenant-wide"] !== undefined) {
  const [episodes, effort] = [values["tenant-wide"], values.effort].map(Number);
  if (!episodes || !effort || values.postgres === undefined) {
    console.error(
      "usage: npm run bench:memory-search -- --tenant-wide N --postgres URL [--effort N] [--keep]; the embedded PostgreSQL has no pgvector",
    );
    process.exit(2);
  }
  const { keep, postgres: url } = values;
  const measured = await tenantSearch({ url, episodes, searches, effort, keep });
  console.log(JSON.stringify(measured, undefined, 2));
  process.exit(typeof measured === "string" ? 1 : 0);
}

const groupId = "bench";
const turnsOfSession = 20;
const warmUp = 20;
const streams = 4;
/** Episodes of one stream. */
const streamed = 250;

await using opened = new AsyncDisposableStack();
const directory = await mkdtemp(join(tmpdir(), "soldier-bench-"));
opened.defer(() => rm(directory, { recursive: true, force: true }));
const url = values.postgres ?? opened.use(await embeddedPostgres({ directory })).url;
const embedder = embedderSettings.parse({ provider: "deterministic", dimensions: 384 });
const running = opened.use(
  await runTogether([memory], {
    settings: testSettings({
      postgres: { url },
      events: { url: "inproc://bench" },
      embedder,
      memory: { summaries: "off", ...(!values.facts && { extraction: "off" }) },
    }),
  }),
);
const tenantId = newId();
const client = callAs(running.call, testIdentity({ tenantId }))(MemoryService);
const model = openEmbedder(embedder, opened);
const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { search_path: "memory" } });
opened.defer(() => sql.end());

const text = talker(random());
await store();
await stages();

const tookMs: number[] = [];
const coldMs = await search();
for (let i = 0; i < warmUp; i++) await search();
for (let i = 0; i < searches; i++) tookMs.push(await search());

console.log(
  JSON.stringify(
    {
      turns,
      searches,
      p50ms: round(percentile(tookMs, 0.5)),
      p95ms: round(percentile(tookMs, 0.95)),
      maxMs: round(Math.max(...tookMs)),
      coldMs: round(coldMs),
    },
    undefined,
    2,
  ),
);

/** Several streams side by side: each is answered one episode after the other. */
async function store(): Promise<void> {
  const begun = Date.UTC(2026, 0, 1);
  const episodes = Array.from({ length: turns ?? 0 }, (_, i) => ({
    ingestKey: `turn ${i}`,
    groupId,
    customerId: groupId,
    sessionId: `session ${Math.floor(i / turnsOfSession)}`,
    role: i % 2 === 0 ? EpisodeRole.USER : EpisodeRole.AGENT,
    text: text(8 + (i % 30)),
    occurredAt: timestampFromMs(begun + i * 600_000),
  }));
  let next = 0;
  const stream = async () => {
    while (next < episodes.length) {
      const part = episodes.slice(next, (next += streamed));
      async function* requests() {
        for (const episode of part) yield { episode };
      }
      for await (const { added } of client.addEpisodes(requests(), { timeoutMs: 100_000 }))
        if (!added) throw new Error("a turn was there already");
    }
  };
  await Promise.all(Array.from({ length: streams }, stream));
}

/** Until nothing waits for a stage any more. */
async function stages(): Promise<void> {
  for (let left = 1; left > 0;) {
    const [row] = await sql<{ left: number }[]>`
      with tenant as materialized (select set_config('soldier.tenant', '*', false))
      select count(*)::int as left from backlog, tenant where tenant_id = ${tenantId}`;
    left = row?.left ?? 0;
    if (left > 0) await pause(250);
  }
}

/** Milliseconds of a search, its query's vector apart. */
async function search(): Promise<number> {
  const query = text(9);
  const asVector = [...(await embedOne(model, query, AbortSignal.timeout(60_000), "query"))];
  const askedMs = performance.now();
  const { hits } = await client.search({
    query,
    groupIds: [groupId],
    embedding: { model: model.model, values: asVector },
    hitsMax: 10,
    ...(values.facts && { factsMax: 10, summariesMax: 5 }),
  });
  const ms = performance.now() - askedMs;
  if (hits.length < 10) throw new Error("a search found less than there is");
  return ms;
}

/** As poor as they were when this was first measured, so that figures can be compared. */
function random(): () => number {
  let state = 1;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}
