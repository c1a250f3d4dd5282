// How long a customer waits beyond the model: one process, one conversation at a time, a model that
// takes 300 ms to its first word and 20 ms for each further one. Ends with 1 when a bar is missed.
//
//   npm run bench:latency
//   npm run bench:latency -- --turns 50 --json
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { collect } from "@soldier/ai/language-model";
import { scriptedModel } from "@soldier/ai/scripted";
import type { Announcement } from "@soldier/local/announcement";
import { percentile } from "./load.ts";
import { install, startHost } from "./started.ts";

const { values } = parseArgs({
  options: { turns: { type: "string", default: "30" }, json: { type: "boolean", default: false } },
});
const turns = Number(values.turns);

const callMs = 300;
const wordMs = 20;
const reply = "We are open from nine to five on all days of the week.";
/** Without a space in it, so that it comes at once. */
const judgement = JSON.stringify({
  intent: "hours",
  topic: "hours",
  sentiment: 0,
  signal: "none",
  rules: [],
  move: { kind: "none", id: "", confidence: 1 },
});
const env = {
  SOLDIER_MODEL__PROVIDER: "scripted",
  SOLDIER_MODEL__SCRIPTED__REPLIES: reply,
  SOLDIER_MODEL__SCRIPTED__STRUCTURED__JUDGEMENT: judgement,
  SOLDIER_MODEL__SCRIPTED__DELAY_MS: String(callMs),
  SOLDIER_MODEL__SCRIPTED__WORD_DELAY_MS: String(wordMs),
  SOLDIER_EMBEDDER__PROVIDER: "deterministic",
  SOLDIER_LOG__LEVEL: "warn",
};

/** Whole: at most so many times the model's own time. First: at most so many milliseconds after its first word. */
const wholeMax = 1.15;
const firstMaxMs = 40;

const unclear = "do you open on the birthday of my aunt";
const series = [
  { name: "decided by scores, written", agent: "plain", text: "when do you open", callsBefore: 0 },
  { name: "judged, then written", agent: "plain", text: unclear, callsBefore: 1 },
  { name: "written while judged", agent: "eager", text: unclear, callsBefore: 0 },
] as const;

/** What the model itself takes here, timers and all: on a busy machine that is more than was asked of it. */
async function modelItself(asked: string): Promise<Timing> {
  const model = scriptedModel(() => asked, { delayMs: callMs, wordDelayMs: wordMs });
  const request = {
    system: [],
    messages: [{ role: "user", text: "hello" }],
    maxTokens: 100,
  } as const;
  const signal = AbortSignal.timeout(60_000);
  const calls: Timing[] = [];
  for (let i = 0; i < 10; i++) {
    const { firstTokenMs, latencyMs } = await collect(model.stream(request, signal));
    calls.push({ firstMs: firstTokenMs, wholeMs: latencyMs });
  }
  return {
    firstMs: percentile(
      calls.map(({ firstMs }) => firstMs),
      0.5,
    ),
    wholeMs: percentile(
      calls.map(({ wholeMs }) => wholeMs),
      0.5,
    ),
  };
}

interface Row {
  readonly name: string;
  readonly modelMs: number;
  readonly wholeMs: number;
  readonly wholeP95Ms: number;
  readonly times: number;
  /** From the model's first word to ours. */
  readonly firstAddedMs: number;
  readonly firstAddedP95Ms: number;
}

const directory = mkdtempSync(join(tmpdir(), "soldier-latency-"));
const started = await startHost({ way: "one", directory, env });
try {
  const { announcement } = started;
  for (const slug of ["plain", "eager"]) await install(announcement, agentOf(slug));
  const judging = await modelItself("judged");
  const writing = await modelItself(reply);
  const rows: Row[] = [];
  for (const each of series) {
    for (let i = 0; i < 3; i++) await turn(announcement, each); // compiled, connected, cached
    const measured: Timing[] = [];
    for (let i = 0; i < turns; i++) measured.push(await turn(announcement, each));
    rows.push(rowOf(each, measured, { judging, writing }));
  }
  if (values.json) console.log(JSON.stringify(rows, null, 2));
  else print(rows);
  if (rows.some(({ times, firstAddedMs }) => times > wholeMax || firstAddedMs > firstMaxMs)) {
    console.error(
      `missed: at most ${wholeMax} times the model, ${firstMaxMs} ms to the first word`,
    );
    process.exitCode = 1;
  }
} finally {
  await started.stop();
  rmSync(directory, { recursive: true, force: true });
}

/** A few rules of which every one is looked at, and none is likely for the unclear message. */
function agentOf(slug: string): unknown {
  const topics = ["parking", "vouchers", "invoices", "delivery"];
  return {
    agent: {
      slug,
      name: "Bench",
      instructions: "You answer customers of a shop, briefly.",
      settings: {
        ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5, minScore: 0, minK: 5 },
        matching: { matchThreshold: 0.8 },
        generation: { speculative: slug === "eager" },
      },
    },
    rules: [
      {
        name: "hours",
        condition: "the customer asks for opening hours",
        action: "Say that we are open from nine to five.",
        examples: ["when do you open", "what are your opening hours"],
      },
      ...topics.map((topic) => ({
        name: topic,
        condition: `the customer asks about ${topic}`,
        action: `Answer about ${topic}.`,
      })),
    ],
  };
}

interface Timing {
  readonly firstMs: number;
  readonly wholeMs: number;
}

/** One message in a new conversation, as a stream; timed at its first and its last event. */
async function turn(
  { url, token }: Announcement,
  { agent, text }: { readonly agent: string; readonly text: string },
): Promise<Timing> {
  const startedMs = performance.now();
  const res = await fetch(`${url}/v1/chat/stream`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "text/event-stream",
    },
    body: JSON.stringify({ message: text, agent, customer: crypto.randomUUID() }),
  });
  if (!res.ok || !res.body) throw new Error(`status ${res.status}: ${await res.text()}`);
  let firstMs: number | undefined;
  let said = "";
  for await (const chunk of res.body.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (firstMs === undefined && /^event: delta/m.test(said))
      firstMs = performance.now() - startedMs;
  }
  const wholeMs = performance.now() - startedMs;
  if (firstMs === undefined || !said.includes("nine to five"))
    throw new Error(`not the expected answer: ${said.slice(0, 500)}`);
  return { firstMs, wholeMs };
}

function rowOf(
  { name, callsBefore }: (typeof series)[number],
  measured: readonly Timing[],
  { judging, writing }: { readonly judging: Timing; readonly writing: Timing },
): Row {
  const beforeMs = callsBefore * judging.wholeMs;
  const modelMs = beforeMs + writing.wholeMs;
  const whole = measured.map(({ wholeMs }) => wholeMs);
  const added = measured.map(({ firstMs }) => firstMs - beforeMs - writing.firstMs);
  const wholeMs = percentile(whole, 0.5);
  return {
    name,
    modelMs,
    wholeMs,
    wholeP95Ms: percentile(whole, 0.95),
    times: wholeMs / modelMs,
    firstAddedMs: percentile(added, 0.5),
    firstAddedP95Ms: percentile(added, 0.95),
  };
}

function print(rows: readonly Row[]): void {
  console.log(
    "| turn | model ms | whole p50 ms | p95 ms | times | first word added p50 ms | p95 ms |",
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const row of rows) {
    const figures = [
      row.modelMs.toFixed(0),
      row.wholeMs.toFixed(0),
      row.wholeP95Ms.toFixed(0),
      row.times.toFixed(3),
      row.firstAddedMs.toFixed(1),
      row.firstAddedP95Ms.toFixed(1),
    ];
    console.log(`| ${[row.name, ...figures].join(" | ")} |`);
  }
}
