// npm run faults: the mesh on servers of its own, under load, while things break; then the books are
// compared. Ends with 1 when anything was lost or doubled, or did not come back by itself.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { installDesk } from "./desk.ts";
import { diskFull, type FaultKind, faultKinds } from "./faults.ts";
import { verdictOn } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { controls } from "./mutations.ts";
import { waiting } from "./quiet.ts";
import { seededRandom, shuffled } from "./random.ts";
import { repeatDeliveries } from "./repeat-deliveries.ts";
import { type Injected, report } from "./report.ts";
import { openScene, tenants } from "./scene.ts";

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "90" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    rate: { type: "string", default: "50" },
    sessions: { type: "string", default: "200" },
    control: { type: "string", default: "" },
    only: { type: "string", default: "" },
    /** Recovery is told, not judged: for machines that others work on, too. */
    ci: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});
const control = controls.find(({ name }) => name === flags.control);
if (flags.control && !control)
  throw new Error(
    `no control ${flags.control}; there are ${controls.map(({ name }) => name).join(", ")}`,
  );

const recoveryMaxMs = 10_000;
/** Answers that come within this are as fast as ever, however fast they were before. */
const promptMs = 400;
/** Of processes that have just begun: their code is not compiled yet, the tables are not counted. */
const warmUpMinMs = 15_000;
const warmUpMaxMs = 40_000;
const quietMaxMs = 120_000;

process.exitCode = await run();

/** With the time before the first fault and until all is quiet. */
function turnsMax(): number {
  return Number(flags.rate) * (Number(flags.seconds) + (warmUpMaxMs + quietMaxMs) / 1_000);
}

async function run(): Promise<number> {
  await using opened = new AsyncDisposableStack();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => void opened.disposeAsync().finally(() => process.exit(1)));
  say(`seed ${flags.seed}, ${flags.seconds} s, ${flags.rate} turns/s, ${flags.sessions} sessions`);
  const scene = opened.use(
    await openScene({ control: flags.control, keep: flags.keep, turnsMax: turnsMax() }),
  );
  const { mesh, office, nats } = scene;
  if (flags.keep) say(`logs and data stay in ${scene.directory}`);
  const customers = await tenants();
  for (const { token } of customers) await installDesk(mesh.url, token);
  const sql = postgres(scene.postgres.url, { max: 2, onnotice: () => {} });
  opened.defer(() => sql.end({ timeout: 5 }));
  if (control?.prepare) await sql.unsafe(control.prepare);

  const load = startLoad({
    url: mesh.url,
    tenants: customers,
    sessions: Number(flags.sessions),
    turnsPerSecond: Number(flags.rate),
  });
  const repeating = opened.use(await repeatDeliveries(nats.port));
  const usualP95 = await warmUp();
  say(`p95 before any fault: ${usualP95.toFixed(0)} ms`);

  if (!scene.hasSmallDisk) say("not root: the disk of nats is not filled");
  const all = [...faultKinds, ...(scene.hasSmallDisk ? [diskFull] : [])];
  const kinds = all.filter(({ name }) =>
    control ? control.faults.includes(name) : name.includes(flags.only),
  );
  const random = seededRandom(Number(flags.seed));
  const injected: Injected[] = [];
  const end = performance.now() + Number(flags.seconds) * 1_000;
  while (performance.now() < end)
    for (const kind of shuffled(kinds, random))
      if (performance.now() < end) injected.push(await inject(kind));

  await load.finish();
  const stuck = await quiet();
  const verdict = await verdictOn(sql, load.asked, office.tickets);
  const deaths = [...mesh.deaths].map(([name, count]) => `${name} ${count}`).join(", ");
  say(`processes that ended: ${deaths || "none"}; deliveries repeated: ${repeating.count}`);
  say(`nats started again by its liveness probe: ${nats.revivals}`);
  say(report({ injected, asked: load.asked, verdict, stuck }));
  if (control) {
    const isFound = verdict.findings.length > 0;
    say(`control ${control.name}: ${isFound ? "found, as it must be" : "NOT FOUND"}`);
    return isFound ? 0 : 1;
  }
  const unanswered = load.asked.some(({ answer }) => !answer);
  const late = !flags.ci && injected.some(({ recoveredMs }) => recoveredMs === undefined);
  return verdict.findings.length > 0 || unanswered || stuck || late ? 1 : 0;

  async function warmUp(): Promise<number> {
    const untilMs = performance.now() + warmUpMaxMs;
    await pause(warmUpMinMs);
    do await pause(4_000);
    while (load.p95(2_000) > promptMs && performance.now() < untilMs);
    return load.p95(4_000);
  }

  async function inject(kind: FaultKind): Promise<Injected> {
    const startedMs = performance.now();
    await kind.inject(scene);
    const endedMs = performance.now();
    const recoveredMs = await recovered(endedMs);
    const took =
      recoveredMs === undefined
        ? `NOT BACK AFTER ${recoveryMaxMs / 1_000} s`
        : `back after ${((recoveredMs - endedMs) / 1_000).toFixed(1)} s`;
    const at = new Date(performance.timeOrigin + startedMs).toISOString().slice(11, 23);
    say(`${at} ${kind.name} for ${((endedMs - startedMs) / 1_000).toFixed(1)} s: ${took}`);
    return { name: kind.name, startedMs, endedMs, recoveredMs };
  }

  /** When answers came as fast as before, for a second on end, and every process was ready. */
  async function recovered(sinceMs: number): Promise<number | undefined> {
    const barMs = Math.max(3 * usualP95, promptMs);
    for (;;) {
      await pause(100);
      const now = performance.now();
      if (now - sinceMs > recoveryMaxMs + 1_000) return undefined;
      if (now - sinceMs < 1_000 || load.p95(1_000) > barMs || load.oldestOpenMs() > 1_000) continue;
      if (await mesh.isReady()) return now - 1_000;
    }
  }

  /** What waits when it should not, after all patience. */
  async function quiet(): Promise<string> {
    const until = performance.now() + quietMaxMs;
    for (;;) {
      const rest = await waiting(sql, nats.port);
      if (!rest || performance.now() > until) return rest;
      await pause(500);
    }
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
