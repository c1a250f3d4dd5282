// What one tenant's flood does to another: a calm tenant asks at a small constant rate, first alone, then
// while another floods with far more than can be answered. Over the mesh on servers of its own.
//
//   npm run bench:flood                          120 seconds of flood
//   npm run bench:flood -- --seconds 600 --flood-rate 150
//   npm run bench:flood -- --model instant       keyless speed: the engine alone is what costs
//
// Requests go out when they are due, whether or not others were answered; latency counts from then on.
import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readSettings } from "@soldier/chassis/settings";
import { mintToken } from "@soldier/cli/token";
import { newId } from "@soldier/kernel/ids";
import type { Announcement } from "@soldier/local/announcement";
import { benchAgent, messages } from "./agent.ts";
import { percentile } from "./load.ts";
import { cpuMs, postgresPids, residentMb } from "./processes.ts";
import { ownMesh } from "./own-mesh.ts";
import { send, type Target } from "@soldier/local/requests";
import { install } from "./started.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "120" },
    "calm-rate": { type: "string", default: "5" },
    "flood-rate": { type: "string", default: "400" },
    model: { type: "string", default: "timed" },
    rules: { type: "string", default: "200" },
    keep: { type: "boolean", default: false },
  },
});
const floodMs = Number(values.seconds) * 1_000;
const ratioBar = 2;
const goodputBar = 0.8;
const growthBar = 1.15;
const aloneMs = Math.min(30_000, floodMs);
const saturationMs = 15_000;
/** Connections of each tenant; a request beyond them is told as not sent and counts as refused. */
const socketsMax = 1_000;

/** 300 ms to the first word and 20 to each of eleven more, as bench:latency has it. */
const timed = {
  SOLDIER_MODEL__SCRIPTED__DELAY_MS: "300",
  SOLDIER_MODEL__SCRIPTED__WORD_DELAY_MS: "20",
  SOLDIER_MODEL__SCRIPTED__REPLIES: "We are open from nine to five on all days of the week.",
  // What the model does in the meantime is not measured: every turn is one call.
  SOLDIER_ALIGNMENT__JUDGEMENT: "scores",
  SOLDIER_MODEL__CONCURRENT_MAX: "1000",
};

interface Outcome {
  readonly latencyMs: number;
  readonly status: number;
  /** Of a refusal. */
  readonly reason: string;
  /** When it says that it may be asked again, in seconds. */
  readonly retryAfter?: number;
}

process.exitCode = await run();

async function run(): Promise<number> {
  await using opened = new AsyncDisposableStack();
  const env = values.model === "timed" ? timed : {};
  const { directory, started } = await ownMesh(opened, "flood", values.keep, env);
  const { announcement } = started;
  const calm = await tenant(announcement.url, "calm");
  const flood = await tenant(announcement.url, "flood");
  for (const target of [calm, flood])
    await install(
      { ...announcement, token: target.token },
      benchAgent("bench", Number(values.rules)),
    );

  const calmRate = Number(values["calm-rate"]);
  const floodRate = Number(values["flood-rate"]);
  await settled(asking(calm, { rate: 30, ms: 5_000 })); // compiled, connected, cached
  const alone = await settled(asking(calm, { rate: calmRate, ms: aloneMs }));
  const groups = () => [
    ...Object.entries(announcement.processes).map(
      ([name, { pid }]) => [name, cpuMs([pid])] as const,
    ),
    ["postgres", cpuMs(postgresPids(directory))] as const,
    ["clients", process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000] as const,
  ];
  const before = new Map(groups());
  const { count, ...saturation } = await saturated(flood);
  const cpuMsPerTurn = Object.fromEntries(
    groups().map(([name, ms]) => [name, round((ms - (before.get(name) ?? 0)) / count)]),
  );

  const memory: Record<string, number>[] = [];
  const look = () => {
    const all = Object.entries(announcement.processes);
    memory.push(
      Object.fromEntries(all.map(([name, { pid }]) => [name, Math.round(residentMb([pid]))])),
    );
  };
  const admission: Admitted[] = [];
  const lookInside = () =>
    void admissionOf(announcement.processes).then(
      (now) => admission.push(now),
      (error: unknown) => admission.push({ unanswered: String(error) }),
    );
  const looking = setInterval(
    () => {
      look();
      lookInside();
    },
    Math.max(5_000, floodMs / 24),
  );
  const floodWarmMs = Math.min(10_000, floodMs / 4);
  const flooding = asking(flood, { rate: floodRate, ms: floodMs });
  await pause(floodWarmMs);
  look();
  const beside = await settled(asking(calm, { rate: calmRate, ms: floodMs - floodWarmMs }));
  const flooded = await settled(flooding);
  clearInterval(looking);
  look();

  const p95 = (outcomes: readonly Outcome[]) =>
    percentile(
      served(outcomes).map(({ latencyMs }) => latencyMs),
      0.95,
    );
  const ratio = p95(beside) / p95(alone);
  const goodput = (served(flooded).length + served(beside).length) / (floodMs / 1_000);
  const growth = growthOf(memory);
  const verdict = {
    calm: {
      holds: ratio <= ratioBar && served(beside).length === beside.length,
      ratio: round(ratio),
      bar: ratioBar,
    },
    goodput: {
      holds: goodput >= goodputBar * saturation.perSecond,
      share: round(goodput / saturation.perSecond),
      bar: goodputBar,
    },
    memory: {
      holds: Object.values(growth).every((each) => each <= growthBar),
      growth,
      bar: growthBar,
    },
  };
  const report = {
    seconds: floodMs / 1_000,
    model: values.model,
    calm: { perSecond: calmRate, alone: told(alone), beside: told(beside) },
    saturation: { ...saturation, cpuMsPerTurn },
    flood: {
      perSecond: floodRate,
      ...told(flooded),
      servedPerSecond: round(served(flooded).length / (floodMs / 1_000)),
    },
    verdict,
    admission,
    memoryMb: memory,
  };
  console.log(JSON.stringify(report, undefined, 2));
  return Object.values(verdict).every(({ holds }) => holds) ? 0 : 1;
}

interface Asking {
  /** Of turns, a second. */
  readonly rate: number;
  readonly ms: number;
}

/** Turns at a constant rate, each of a conversation of its own; resolves with the calls when all are sent. */
async function asking(target: Target, { rate, ms }: Asking): Promise<readonly Promise<Outcome>[]> {
  const http = new Agent({ keepAlive: true, maxSockets: socketsMax });
  const outcomes: Promise<Outcome>[] = [];
  const begunMs = performance.now();
  let running = 0;
  for (let number = 0; (number / rate) * 1_000 < ms; number++) {
    const dueMs = begunMs + (number / rate) * 1_000;
    const waitMs = dueMs - performance.now();
    if (waitMs > 1) await pause(waitMs);
    if (running >= socketsMax) {
      outcomes.push(Promise.resolve({ latencyMs: 0, status: 0, reason: "NOT_SENT" }));
      continue;
    }
    running += 1;
    outcomes.push(ask(http, target, number, dueMs).finally(() => (running -= 1)));
  }
  return outcomes;
}

async function ask(http: Agent, target: Target, number: number, dueMs: number): Promise<Outcome> {
  const body = {
    message: messages[number % messages.length],
    agent: target.agent,
    customer: newId(),
    idempotencyKey: newId(),
  };
  try {
    const { status, text, headers } = await send(http, target, "POST", "/v1/chat", body);
    const latencyMs = performance.now() - dueMs;
    if (status === 200) return { latencyMs, status, reason: "" };
    const { error } = JSON.parse(text) as {
      error: { reason: string; metadata: { service?: string; why?: string } };
    };
    const after = headers["retry-after"];
    const late = after === undefined ? " without Retry-After" : "";
    const { service, why } = error.metadata;
    return {
      latencyMs,
      status,
      reason: [error.reason, service, why].filter(Boolean).join(" ") + late,
      ...(after !== undefined && { retryAfter: Number(after) }),
    };
  } catch (error) {
    return { latencyMs: performance.now() - dueMs, status: 0, reason: String(error) };
  }
}

/** As many turns as can be answered: conversations that each ask again when they are answered. */
async function saturated(target: Target) {
  const http = new Agent({ keepAlive: true, maxSockets: socketsMax });
  const workers = values.model === "timed" ? 128 : 32;
  const endMs = performance.now() + saturationMs;
  let count = 0;
  await Promise.all(
    Array.from({ length: workers }, async (_, index) => {
      for (let number = index; performance.now() < endMs; number += workers) {
        const { status } = await ask(http, target, number, performance.now());
        if (status === 200) count += 1;
        else await pause(250);
      }
    }),
  );
  http.destroy();
  return { conversations: workers, count, perSecond: round(count / (saturationMs / 1_000)) };
}

async function settled(calls: Promise<readonly Promise<Outcome>[]>): Promise<readonly Outcome[]> {
  return await Promise.all(await calls);
}

function served(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.filter(({ status }) => status === 200);
}

function told(outcomes: readonly Outcome[]) {
  const latencies = served(outcomes).map(({ latencyMs }) => latencyMs);
  const refused: Record<string, number> = {};
  for (const { status, reason } of outcomes)
    if (status !== 200) {
      const key = `${status} ${reason}`;
      refused[key] = (refused[key] ?? 0) + 1;
    }
  const delays = outcomes.flatMap(({ retryAfter }) => retryAfter ?? []);
  const waits = outcomes.filter(({ status }) => status >= 400).map(({ latencyMs }) => latencyMs);
  return {
    asked: outcomes.length,
    served: latencies.length,
    p50Ms: round(percentile(latencies, 0.5)),
    p95Ms: round(percentile(latencies, 0.95)),
    refused,
    ...(delays.length > 0 && {
      retryAfterSeconds: {
        p50: percentile(delays, 0.5),
        max: delays.reduce((a, b) => Math.max(a, b)),
      },
    }),
    ...(waits.length > 0 && {
      refusedAfterMs: { p50: round(percentile(waits, 0.5)), p95: round(percentile(waits, 0.95)) },
    }),
  };
}

/** Limit, running and waiting, by service. */
type Admitted = Readonly<Record<string, string>>;

async function admissionOf(processes: Announcement["processes"]): Promise<Admitted> {
  const all = Object.entries(processes).map(async ([name, { admin_url: url }]) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const figure = (metric: string) =>
      new RegExp(`^soldier_admission_${metric}\\{.*\\} (\\S+)$`, "m").exec(text)?.[1] ?? "0";
    return [name, `${figure("limit")} ${figure("running")} ${figure("waiting")}`] as const;
  });
  return Object.fromEntries(await Promise.all(all));
}

/** Of each process: the last quarter's mean against the second's. The first quarter warms up. */
function growthOf(memory: readonly Record<string, number>[]): Record<string, number> {
  const quarter = Math.max(1, Math.floor(memory.length / 4));
  const mean = (looks: readonly Record<string, number>[], name: string) =>
    looks.reduce((sum, look) => sum + (look[name] ?? 0), 0) / looks.length;
  return Object.fromEntries(
    Object.keys(memory[0] ?? {}).map((name) => [
      name,
      round(mean(memory.slice(-quarter), name) / mean(memory.slice(quarter, 2 * quarter), name)),
    ]),
  );
}

async function tenant(url: string, name: string): Promise<Target> {
  const token = await mintToken(readSettings(), {
    tenant: name,
    subject: "bench",
    roles: ["chat", "delegate", "operator"],
    hours: 10,
  });
  return { url, token, agent: "bench" };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
