// Whether memory keeps up with committed turns: publishes so many a second, each with what a customer
// said and what was answered, to the running service (keyless, the local embedder, a real PostgreSQL),
// and looks four times a second at what waits for each stage. "Lag" is how long ago the one that has
// waited longest was stored; it is sampled from the first turn until nothing waits any more.
//
//   npm run bench:ingest                          50 turns a second for 20 seconds
//   npm run bench:ingest -- --rate 50 --seconds 20 --searches 50 --postgres URL --embedder NAME
//   npm run bench:ingest -- --distinct            no text comes twice; about half of them do otherwise, as in a chat
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { embedOne } from "@soldier/ai/embedder";
import { embedderSettings, openEmbedder } from "@soldier/ai/settings";
import { runTogether } from "@soldier/chassis/run";
import { callAs, testIdentity, testSettings } from "@soldier/chassis/testing";
import { newEvent } from "@soldier/events/event";
import { openBus } from "@soldier/events/open-bus";
import { turnCommittedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { memory } from "@soldier/memory/service";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { embeddedPostgres } from "@soldier/storage/embedded";
import postgres from "postgres";
import { percentile } from "./load.ts";
import { cpuMs, postgresPids } from "./processes.ts";
import { said } from "./said.ts";

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "50" },
    seconds: { type: "string", default: "20" },
    /** Searches a second beside it, each of a customer's memory, with the vector at hand as in a turn. */
    searches: { type: "string", default: "0" },
    /** A server to use instead of one of our own; its processor time is not counted. */
    postgres: { type: "string" },
    embedder: { type: "string", default: "local" },
    /** Of the local embedder. */
    threads: { type: "string", default: "2" },
    distinct: { type: "boolean", default: false },
  },
});
const [rate, seconds, searches] = [values.rate, values.seconds, values.searches].map(Number);
if (!rate || !seconds || searches === undefined || Number.isNaN(searches)) {
  console.error("usage: npm run bench:ingest -- [--rate N] [--seconds N] [--searches N] ...");
  process.exit(2);
}

const drainMaxMs = 120_000;
const customersMax = 50;
const sampleMs = 250;
const stages = ["embedded", "extracted", "resolved"] as const;

await using opened = new AsyncDisposableStack();
const directory = await mkdtemp(join(tmpdir(), "soldier-bench-"));
opened.defer(() => rm(directory, { recursive: true, force: true }));
const url = values.postgres ?? opened.use(await embeddedPostgres({ directory })).url;
const embedder = embedderSettings.parse({
  provider: values.embedder,
  threads: Number(values.threads),
});
const events = {
  url: "inproc://bench",
  root: "bench",
  replicas: 1,
  keep_hours: 1,
  outbox_keep_minutes: 1,
  dead_letters_keep_days: 1,
  inbox_keep_days: 1,
  connect_timeout_ms: 5_000,
};
const running = opened.use(
  await runTogether([memory], {
    settings: testSettings({ postgres: { url }, events: { url: events.url }, embedder }),
  }),
);
const tenantId = newId();
const client = callAs(running.call, testIdentity({ tenantId }))(MemoryService);
const model = openEmbedder(embedder, opened);
const ofBus = opened.use(new AsyncDisposableStack());
const bus = await openBus({
  settings: events,
  opened: ofBus,
});
const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { search_path: "memory" } });
opened.defer(() => sql.end());

const query = "when does my order come";
const vector = await embedOne(model, query, AbortSignal.timeout(60_000)); // loads the model, too
const customers = Array.from({ length: customersMax }, () => newId());

const samples: Sample[] = [];
const searchMs: number[] = [];
// Of backends that are there then: the pool keeps its own.
const serverCpuMs = () => cpuMs(postgresPids(directory));
const cpuBefore = { own: process.cpuUsage(), server: serverCpuMs() };
const startedMs = performance.now();
const done = new AbortController();
const sampling = sample(done.signal);
const searching = searchAtRate(done.signal);
const published = await publish();
const publishSeconds = (performance.now() - startedMs) / 1_000;
const atEnd = await waiting();
while (performance.now() - startedMs < publishSeconds * 1_000 + drainMaxMs) {
  const left = await waiting();
  if (stages.every((stage) => left[stage].count === 0)) break;
  await pause(sampleMs);
}
const drained = performance.now();
done.abort();
await Promise.all([sampling, searching]);
const own = process.cpuUsage(cpuBefore.own);
const [count] = await sql<{ episodes: number; vectors: number; claims: number }[]>`
  with tenant as materialized (select set_config('soldier.tenant', '*', false))
  select (select count(*)::int from episodes, tenant where tenant_id = ${tenantId}) as episodes,
    (select count(*)::int from embeddings where tenant_id = ${tenantId}) as vectors,
    (select count(*)::int from claims where tenant_id = ${tenantId}) as claims`;

console.log(
  JSON.stringify(
    {
      turns: published,
      turnsPerSecond: round(published / publishSeconds),
      ...count,
      lagSeconds: Object.fromEntries(stages.map((stage) => [stage, lagOf(stage)])),
      backlogAtEnd: Object.fromEntries(stages.map((stage) => [stage, atEnd[stage].count])),
      drainSeconds: round(Math.max(0, (drained - startedMs) / 1_000 - publishSeconds)),
      cpuMsPerTurn: {
        service: round((own.user + own.system) / 1_000 / published),
        ...(values.postgres
          ? {}
          : { postgres: round((serverCpuMs() - cpuBefore.server) / published) }),
      },
      ...(searchMs.length > 0 && {
        searches: searchMs.length,
        searchP50Ms: round(percentile(searchMs, 0.5)),
        searchP95Ms: round(percentile(searchMs, 0.95)),
      }),
    },
    undefined,
    2,
  ),
);

type Stage = (typeof stages)[number];
type Sample = Readonly<Record<Stage, { readonly count: number; readonly lagMs: number }>>;

/** Keeps to the rate whatever it takes: a turn that is late is published at once. */
async function publish(): Promise<number> {
  const turns = (rate ?? 0) * (seconds ?? 0);
  const pending: Promise<unknown>[] = [];
  for (let i = 0; i < turns; i++) {
    const waitMs = startedMs + (i * 1_000) / (rate ?? 1) - performance.now();
    if (waitMs > 0) await pause(waitMs);
    pending.push(bus.publish(turnEvent(i)));
  }
  await Promise.all(pending);
  return turns;
}

function turnEvent(i: number) {
  const number = Math.floor(i / customersMax) + 1;
  const customerId = customers[i % customersMax] ?? "";
  const at = new Date();
  const { userText, replyText } = said(i);
  const ending = values.distinct ? ` (${i})` : "";
  const turn = {
    id: newId(),
    sessionId: customerId,
    number,
    userText: userText + ending,
    replyText: replyText + ending,
    receivedAt: timestampFromDate(at),
    committedAt: timestampFromDate(at),
  };
  return newEvent(turnCommittedTopic, tenantId, { tenantId, customerId, turn }, at);
}

async function searchAtRate(signal: AbortSignal): Promise<void> {
  if (!searches) return;
  const asked: Promise<void>[] = [];
  for (let i = 0; !signal.aborted; i++) {
    const waitMs = startedMs + (i * 1_000) / searches - performance.now();
    if (waitMs > 0) await pause(waitMs);
    asked.push(search(customers[i % customersMax] ?? ""));
  }
  await Promise.all(asked);
}

async function search(groupId: string): Promise<void> {
  const askedMs = performance.now();
  const embedding = { model: model.model, values: [...vector] };
  await client.search({ query, groupIds: [groupId], embedding, hitsMax: 10 });
  searchMs.push(performance.now() - askedMs);
}

async function sample(signal: AbortSignal): Promise<void> {
  for (let i = 1; !signal.aborted; i++) {
    await pause(Math.max(0, startedMs + i * sampleMs - performance.now()));
    samples.push(await waiting());
  }
}

/** Of each stage: how many wait, held by a worker or not, and how long ago the first was stored. */
async function waiting(): Promise<Sample> {
  const rows = await sql<{ stage: Stage; count: number; lag_ms: number }[]>`
    with tenant as materialized (select set_config('soldier.tenant', '*', false))
    select b.stage, count(*)::int as count,
      (extract(epoch from clock_timestamp() - min(e.recorded_at)) * 1000)::float8 as lag_ms
    from tenant, backlog b join episodes e on e.tenant_id = b.tenant_id and e.id = b.episode_id
    where b.tenant_id = ${tenantId} and not b.parked
    group by b.stage`;
  const of = (stage: Stage) => {
    const row = rows.find((one) => one.stage === stage);
    return { count: row?.count ?? 0, lagMs: row?.lag_ms ?? 0 };
  };
  return { embedded: of("embedded"), extracted: of("extracted"), resolved: of("resolved") };
}

function lagOf(stage: Stage) {
  const lags = samples.map((each) => each[stage].lagMs / 1_000);
  return {
    p50: round(percentile(lags, 0.5)),
    p95: round(percentile(lags, 0.95)),
    max: round(Math.max(0, ...lags)),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
