// A day of traffic in miniature, over the mesh on a PostgreSQL and a NATS of its own: what grows that
// should not. Thousands of sessions, some of them very long, and after each tenth of the turns the memory of
// every process and the size of every table; in the end, whether the oldest session loads like the newest.
//
//   npm run bench:day                      200,000 turns: an hour or so on two idle cores
//   npm run bench:day -- --turns 20000 --concurrency 16 --keep
//
// Each step goes to standard error as one line of JSON when it is over, the verdict to standard output.
import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { mintToken } from "@soldier/cli/token";
import { readSettings } from "@soldier/chassis/settings";
import { newId } from "@soldier/kernel/ids";
import postgres from "postgres";
import { benchAgent, messages } from "./agent.ts";
import { percentile } from "./load.ts";
import { watchMemory } from "./memory-watch.ts";
import { ownMesh } from "./own-mesh.ts";
import { send, type Target } from "@soldier/local/requests";
import { install } from "./started.ts";
import { growthOf, sizesOf, type Sizes } from "./table-sizes.ts";

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: "200000" },
    concurrency: { type: "string", default: "16" },
    rules: { type: "string", default: "200" },
    tenants: { type: "string", default: "4" },
    keep: { type: "boolean", default: false },
  },
});
const turns = Number(values.turns);
const concurrency = Number(values.concurrency);

/** Of most sessions; then their customer opens another, or another customer comes. */
const sessionTurns = 20;
const sessionsPerCustomer = 3;
/** Each worker has one session that never ends, and gives it this share of its turns. */
const endlessShare = 0.1;
const steps = 10;
const rssBar = 1.15;
const growthBar = 1.25;
const loadBar = 1.25;

interface Session {
  readonly id: string;
  readonly target: Target;
}

interface Step {
  readonly turns: number;
  readonly sessions: number;
  readonly seconds: number;
  readonly turnsPerSecond: number;
  readonly failures: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Of the last quarter of the step: the median resident memory, and the least of the heap. */
  readonly memoryMb: Readonly<Record<string, { readonly resident: number; readonly heap: number }>>;
  readonly sizes: Sizes;
}

process.exitCode = await run();

async function run(): Promise<number> {
  await using opened = new AsyncDisposableStack();
  const { database, started } = await ownMesh(opened, "day", values.keep, {
    // A cache is to be full before the first step is over, or its filling looks like a leak.
    SOLDIER_MEMORY__CACHE_BYTES: String(32 * 1_048_576),
  });
  const { announcement } = started;
  const sql = postgres(database.url, {
    max: 1,
    onnotice: () => {},
    connection: { options: "-c soldier.tenant=*" },
  });
  opened.defer(() => sql.end({ timeout: 5 }));
  const targets = await tenants(announcement.url);
  for (const target of targets)
    await install(
      { ...announcement, token: target.token },
      benchAgent(target.agent, Number(values.rules)),
    );

  const memory = opened.use(watchMemory(announcement.processes));
  const http = new Agent({ keepAlive: true, maxSockets: concurrency });
  opened.defer(() => http.destroy());
  // One a worker, from step to step.
  const endless: { id: string | undefined; readonly customer: string }[] = Array.from(
    { length: concurrency },
    () => ({ id: undefined, customer: newId() }),
  );
  const finished: Session[] = [];
  const done: Step[] = [];
  for (let step = 1; step <= steps; step++) {
    done.push(await oneStep(step));
    console.error(JSON.stringify(done.at(-1)));
  }
  const verdict = await judged();
  console.log(JSON.stringify({ verdict, steps: done }, null, 2));
  return Object.values(verdict).every(({ holds }) => holds) ? 0 : 1;

  async function oneStep(step: number): Promise<Step> {
    const count = Math.round(turns / steps);
    let left = count;
    let failures = 0;
    const latenciesMs: number[] = [];
    const startedMs = performance.now();

    async function turn(target: Target, customer: string, session: string | undefined) {
      const body = {
        message: messages[left % messages.length],
        agent: target.agent,
        customer,
        idempotencyKey: newId(),
        ...(session !== undefined && { sessionId: session }),
      };
      const before = performance.now();
      for (;;) {
        const { status, text } = await send(http, target, "POST", "/v1/chat", body);
        if (status === 200) {
          latenciesMs.push(performance.now() - before);
          return (JSON.parse(text) as { sessionId: string }).sessionId;
        }
        // The same key again: it is the same turn.
        failures += 1;
        if (failures > count / 10) throw new Error(`too many failures; the last: ${text}`);
        await pause(500);
      }
    }

    async function worker(index: number): Promise<void> {
      const target = targets[index % targets.length];
      const unending = endless[index];
      if (!target || !unending) throw new Error("a bench needs a tenant and a worker");
      while (left > 0) {
        const customer = newId();
        for (let session = 0; session < sessionsPerCustomer && left > 0; session++) {
          let id: string | undefined;
          for (let number = 0; number < sessionTurns && left > 0; number++) {
            left -= 1;
            id = await turn(target, customer, id);
            if (left > 0 && Math.random() < endlessShare) {
              left -= 1;
              unending.id = await turn(target, unending.customer, unending.id);
            }
          }
          if (id !== undefined && left > 0) finished.push({ id, target });
        }
      }
    }

    const watching = setInterval(() => {
      if (left < count / 4) memory.begin();
    }, 500);
    memory.pause();
    await Promise.all(Array.from({ length: concurrency }, (_, index) => worker(index)));
    clearInterval(watching);
    const seconds = (performance.now() - startedMs) / 1_000;
    return {
      turns: count * step,
      sessions: finished.length,
      seconds: Math.round(seconds),
      turnsPerSecond: round(count / seconds),
      failures,
      p50Ms: round(percentile(latenciesMs, 0.5)),
      p95Ms: round(percentile(latenciesMs, 0.95)),
      memoryMb: memory.end(),
      sizes: await sizesOf(sql),
    };
  }

  async function judged() {
    const [first, last] = [done[0], done.at(-1)];
    if (!first || !last) throw new Error("no step was made");
    const rss = Object.entries(last.memoryMb).map(([name, { resident }]) => ({
      name,
      ratio: round(resident / (first.memoryMb[name]?.resident ?? resident)),
    }));
    const growth = growthOf(done.map(({ sizes }) => sizes));
    const { oldestMs, newestMs } = await loadsMs();
    return {
      rss: { holds: rss.every(({ ratio }) => ratio <= rssBar), bar: rssBar, processes: rss },
      sizes: {
        holds: growth.every(({ ratio }) => ratio <= growthBar),
        bar: growthBar,
        relations: growth,
      },
      load: { holds: oldestMs <= newestMs * loadBar, bar: loadBar, oldestMs, newestMs },
    };
  }

  /**
   * Medians of reading a session with its turns, as an operator's page does: each for the first time, and in
   * turns, so that both kinds meet the same machine.
   */
  async function loadsMs() {
    const count = Math.min(200, Math.floor(finished.length / 3));
    // Nobody has read a session yet: others first, until the code is compiled.
    for (const session of finished.slice(count, -count).slice(0, count)) await loadMs(session);
    const [oldestMs, newestMs]: [number[], number[]] = [[], []];
    for (const [index, oldest] of finished.slice(0, count).entries()) {
      oldestMs.push(await loadMs(oldest));
      const newest = finished.at(-1 - index);
      if (newest) newestMs.push(await loadMs(newest));
    }
    return {
      oldestMs: round(percentile(oldestMs, 0.5)),
      newestMs: round(percentile(newestMs, 0.5)),
    };
  }

  async function loadMs({ id, target }: Session): Promise<number> {
    const before = performance.now();
    for (const path of [`/v1/sessions/${id}`, `/v1/sessions/${id}/turns`]) {
      const { status, text } = await send(http, target, "GET", path);
      if (status !== 200) throw new Error(`status ${status}: ${text}`);
    }
    return performance.now() - before;
  }
}

async function tenants(url: string): Promise<readonly Target[]> {
  const settings = readSettings();
  return await Promise.all(
    Array.from({ length: Number(values.tenants) }, async (_, index) => ({
      url,
      agent: "bench",
      token: await mintToken(settings, {
        tenant: `tenant-${index}`,
        subject: "bench",
        roles: ["chat", "delegate", "operator"],
        hours: 48,
      }),
    })),
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
