// How much of what a question needs the memory service finds, and how fast. The file is JSON:
// { conversations: [{ id, turns: [{ id, session, at, speaker, text }], questions: [{ text, evidence: [turn id], category }] }] }
// Recall at k is the share of a question's evidence among the k best, averaged over questions. Times are
// of a Search call in this process with the query's vector at hand, as in a turn.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { embedOne } from "@soldier/ai/embedder";
import { embedderSettings, openEmbedder } from "@soldier/ai/settings";
import { runTogether } from "@soldier/chassis/run";
import { callAs, testIdentity, testSettings } from "@soldier/chassis/testing";
import { memory } from "@soldier/memory/service";
import { EpisodeRole, IngestionStatus } from "@soldier/proto/memory/v1/memory";
import { type MemoryHit, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { embeddedPostgres } from "@soldier/storage/embedded";
import { z } from "zod";

const fileShape = z.object({
  conversations: z.array(
    z.object({
      id: z.string(),
      turns: z.array(
        z.object({
          id: z.string(),
          session: z.union([z.number(), z.string()]),
          at: z.string(),
          speaker: z.string(),
          text: z.string(),
        }),
      ),
      questions: z.array(
        z.object({ text: z.string(), evidence: z.array(z.string()).min(1), category: z.string() }),
      ),
    }),
  ),
});
type Conversation = z.output<typeof fileShape>["conversations"][number];

interface Answer {
  readonly category: string;
  readonly recalls: readonly number[];
  readonly tookMs: number;
}

const depths = [5, 10, 20];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    /** A server to use instead of one of our own. */
    postgres: { type: "string" },
    embedder: { type: "string", default: "local" },
  },
});
const [path] = positionals;
if (path === undefined) {
  console.error("usage: npm run bench:recall -- FILE [--postgres URL] [--embedder NAME]");
  process.exit(2);
}
const { conversations } = fileShape.parse(JSON.parse(await readFile(path, "utf8")));

await using opened = new AsyncDisposableStack();
const embedder = embedderSettings.parse({ provider: values.embedder });
const running = opened.use(
  await runTogether([memory], {
    settings: testSettings({
      postgres: { url: values.postgres ?? (await ownServer()) },
      events: { url: "inproc://bench" },
      embedder,
    }),
  }),
);
const client = callAs(running.call, testIdentity())(MemoryService);
const model = openEmbedder(embedder, opened);

const startedMs = performance.now();
for (const conversation of conversations) await ingest(client, conversation);
for (const { id } of conversations) await embedded(client, id);
const ingestMs = performance.now() - startedMs;

const answers: Answer[] = [];
for (const conversation of conversations) answers.push(...(await ask(client, conversation)));
console.log(JSON.stringify(report(answers), undefined, 2));

async function ownServer(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "soldier-bench-"));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  return opened.use(await embeddedPostgres({ directory })).url;
}

/** A turn is a line of a transcript: it names its own speaker. */
async function ingest(memories: Client<typeof MemoryService>, { id, turns }: Conversation) {
  async function* requests() {
    for (const turn of turns)
      yield {
        episode: {
          ingestKey: `${id}:${turn.id}`,
          groupId: id,
          sessionId: `${id}:${turn.session}`,
          role: EpisodeRole.EVENT,
          text: `${turn.speaker}: ${turn.text}`,
          occurredAt: timestampFromDate(new Date(turn.at)),
        },
      };
  }
  const options = { timeoutMs: 600_000 };
  for await (const { added } of memories.addEpisodes(requests(), options))
    if (!added) throw new Error(`${id} was there already`);
}

async function embedded(memories: Client<typeof MemoryService>, groupId: string): Promise<void> {
  for (let pageToken: string | undefined = ""; pageToken !== undefined;) {
    const page = await memories.listEpisodes({ groupId, pageSize: 500, pageToken });
    const done = page.episodes.every(({ stages }) =>
      stages.every(
        ({ status }) => status === IngestionStatus.DONE || status === IngestionStatus.WAITING,
      ),
    );
    if (done) pageToken = page.nextPageToken || undefined;
    else await pause(500);
  }
}

async function ask(
  memories: Client<typeof MemoryService>,
  { id, questions }: Conversation,
): Promise<readonly Answer[]> {
  const given: Answer[] = [];
  for (const { text, evidence, category } of questions) {
    const vector = await embedOne(model, text, AbortSignal.timeout(60_000));
    const embedding = { model: model.model, values: [...vector] };
    const askedMs = performance.now();
    const { hits } = await memories.search({
      query: text,
      groupIds: [id],
      embedding,
      hitsMax: Math.max(...depths),
    });
    const tookMs = performance.now() - askedMs;
    const found = hits.map(turnOf);
    const recalls = depths.map((depth) => {
      const best = new Set(found.slice(0, depth));
      return evidence.filter((turn) => best.has(`${id}:${turn}`)).length / evidence.length;
    });
    given.push({ category, recalls, tookMs });
  }
  return given;
}

function turnOf({ found }: MemoryHit): string {
  return found.case === "episode" ? found.value.ingestKey : "";
}

function report(all: readonly Answer[]) {
  const recalls = (some: readonly Answer[]) =>
    Object.fromEntries(
      depths.map((depth, i) => [
        `recall${depth}`,
        percent(some.map(({ recalls: each }) => each[i] ?? 0)),
      ]),
    );
  const byCategory = Object.entries(Object.groupBy(all, ({ category }) => category)).map(
    ([category, some = []]) => [category, { questions: some.length, ...recalls(some) }],
  );
  const times = all.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  return {
    questions: all.length,
    episodes: conversations.reduce((sum, { turns }) => sum + turns.length, 0),
    ...recalls(all),
    byCategory: Object.fromEntries(byCategory),
    p50ms: round(times[Math.floor(times.length * 0.5)] ?? 0),
    p95ms: round(times[Math.floor(times.length * 0.95)] ?? 0),
    ingestSeconds: round(ingestMs / 1_000),
  };
}

function percent(shares: readonly number[]): number {
  return round((100 * shares.reduce((sum, share) => sum + share, 0)) / (shares.length || 1));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
