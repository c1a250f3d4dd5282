// npm run faults: the mesh on servers of its own, under load, while things break; then the books are
// compared. Ends with 1 when anything was lost or doubled.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readSettings } from "@soldier/chassis/settings";
import { mintToken } from "@soldier/cli/token";
import postgres from "postgres";
import { installDesk, openTicketOffice } from "./desk.ts";
import { diskFull, faultKinds, type Scene } from "./faults.ts";
import { isQuiet, verdictOn } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { startMesh } from "./mesh.ts";
import { controls, failpoints } from "./mutations.ts";
import { openProxy } from "./proxy.ts";
import { repeatDeliveries } from "./repeat-deliveries.ts";
import { type Injected, report } from "./report.ts";
import { startNats, startPostgres, startRedis } from "./servers.ts";

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "90" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    rate: { type: "string", default: "50" },
    sessions: { type: "string", default: "200" },
    control: { type: "string", default: "" },
    only: { type: "string", default: "" },
    keep: { type: "boolean", default: false },
  },
});
const control = controls.find(({ name }) => name === flags.control);
if (flags.control && !control)
  throw new Error(
    `no control ${flags.control}; there are ${controls.map(({ name }) => name).join(", ")}`,
  );

const leaseMs = 3_000;
/** Of each passage of the point, in a run of some thousand turns: about one in five seconds dies. */
const pointShare = Math.min(0.002, 60 / Number(flags.seconds) / 1_000);
const recoveryMaxMs = 10_000;
const quietMaxMs = 120_000;
const random = mulberry(Number(flags.seed));

process.exitCode = await run();

async function run(): Promise<number> {
  await using opened = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "soldier-faults-"));
  if (flags.keep) say(`logs and data stay in ${directory}`);
  else opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  say(`seed ${flags.seed}, ${flags.seconds} s, ${flags.rate} turns/s, ${flags.sessions} sessions`);

  const database = opened.use(await startPostgres(join(directory, "postgres")));
  const natsHome = join(directory, "nats");
  const smallDisk = mountSmall(natsHome, opened);
  const nats = opened.use(await startNats(natsHome));
  const redis = opened.use(await startRedis(join(directory, "redis")));
  const postgresWay = opened.use(await openProxy(database.port));
  const natsWay = opened.use(await openProxy(nats.port));
  const redisWay = opened.use(await openProxy(redis.port));
  const office = opened.use(await openTicketOffice());
  const points = {
    ...Object.fromEntries(failpoints.map(({ name }) => [name, pointShare])),
    ...control?.points,
  };
  const mesh = opened.use(
    await startMesh({
      logs: join(directory, "logs"),
      armed: { control: flags.control, points },
      env: {
        SOLDIER_ENV: "test",
        SOLDIER_POSTGRES__URL: throughWay(database.url, postgresWay.port),
        SOLDIER_EVENTS__URL: `nats://127.0.0.1:${natsWay.port}`,
        SOLDIER_REDIS__URL: `redis://127.0.0.1:${redisWay.port}`,
        SOLDIER_EMBEDDER__PROVIDER: "deterministic",
        SOLDIER_ALIGNMENT__LEASE_MS: String(leaseMs),
        SOLDIER_ALIGNMENT__TOOLS__ALLOWED_PRIVATE_HOSTS: new URL(office.url).host,
        SOLDIER_ALIGNMENT__TOOL_SETTINGS__DESK_BACKEND: office.url,
        SOLDIER_CHAT_GATEWAY__LIMITS__REQUESTS_PER_SECOND: "1000",
        SOLDIER_CHAT_GATEWAY__LIMITS__BURST: "2000",
      },
    }),
  );
  const settings = readSettings({ env: { SOLDIER_ENV: "test" } });
  const tenants = await Promise.all(
    ["acme", "globex"].map(async (name) => ({
      name,
      token: await mintToken(settings, {
        tenant: name,
        subject: "load",
        roles: ["chat", "delegate", "operator"],
        hours: 10,
      }),
    })),
  );
  for (const { token } of tenants) await installDesk(mesh.url, token);
  const sql = postgres(database.url, { max: 2, onnotice: () => {} });
  opened.defer(() => sql.end({ timeout: 5 }));
  if (control?.prepare) await sql.unsafe(control.prepare);

  const scene: Scene = {
    mesh,
    postgres: database,
    nats,
    redis,
    postgresWay,
    natsWay,
    redisWay,
    leaseMs,
  };
  const load = startLoad({
    url: mesh.url,
    tenants,
    sessions: Number(flags.sessions),
    turnsPerSecond: Number(flags.rate),
  });
  const repeating = opened.use(await repeatDeliveries(nats.port));
  await pause(5_000);
  const usualP95 = load.p95(4_000);
  say(`p95 before any fault: ${usualP95.toFixed(0)} ms`);

  const kinds = [...faultKinds, ...(smallDisk ? [diskFull] : [])].filter(({ name }) =>
    name.includes(flags.only),
  );
  if (!smallDisk) say("not root: the disk of nats is not filled");
  const injected: Injected[] = [];
  const end = performance.now() + Number(flags.seconds) * 1_000;
  while (performance.now() < end)
    for (const kind of shuffled(kinds)) {
      if (performance.now() >= end) break;
      const startedMs = performance.now();
      await kind.inject(scene);
      const healedMs = performance.now();
      const recoveredMs = await recovered(usualP95, healedMs);
      injected.push({ name: kind.name, startedMs, healedMs, recoveredMs });
      say(
        `${kind.name}: ${recoveredMs === undefined ? "NOT RECOVERED" : `back after ${((recoveredMs - healedMs) / 1_000).toFixed(1)} s`}`,
      );
    }

  await load.finish();
  await mesh.ready();
  const stuck = await quiet();
  const verdict = await verdictOn(sql, load.asked, office.tickets);
  const deaths = [...mesh.deaths].map(([name, count]) => `${name} ${count}`).join(", ");
  say(`processes that ended: ${deaths || "none"}; deliveries repeated: ${repeating.count}`);
  process.stdout.write(report({ injected, asked: load.asked, verdict, stuck, recoveryMaxMs }));
  const bad = verdict.lost.length + verdict.duplicated.length + verdict.wrong.length;
  const late = injected.filter(
    ({ healedMs, recoveredMs }) => (recoveredMs ?? Infinity) - healedMs > recoveryMaxMs,
  );
  if (control) {
    say(
      bad > 0
        ? `control ${control.name}: found, as it must be`
        : `control ${control.name}: NOT FOUND`,
    );
    return bad > 0 ? 0 : 1;
  }
  return bad + verdict.unanswered + late.length > 0 || stuck ? 1 : 0;

  /** When answers came as fast as before, for a second on end. */
  async function recovered(usual: number, since: number): Promise<number | undefined> {
    const bar = Math.max(3 * usual, 400);
    while (performance.now() - since < 3 * recoveryMaxMs) {
      await pause(250);
      const window = Math.min(1_000, performance.now() - since);
      if (window >= 1_000 && load.p95(1_000) <= bar && oldestOpenMs() < 1_000)
        return performance.now() - 1_000;
    }
    return undefined;
  }

  function oldestOpenMs(): number {
    const now = performance.now();
    return load.asked.reduce(
      (oldest, one) => (one.answer ? oldest : Math.max(oldest, now - one.dueMs)),
      0,
    );
  }

  async function quiet(): Promise<string> {
    const until = performance.now() + quietMaxMs;
    for (;;) {
      const { quiet: done, waiting } = await isQuiet(sql);
      if (done) return "";
      if (performance.now() > until) return waiting;
      await pause(500);
    }
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function throughWay(url: string, port: number): string {
  return Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).href;
}

/** A disk of 64 MB of its own; false when we may not make one. */
function mountSmall(directory: string, opened: AsyncDisposableStack): boolean {
  mkdirSync(directory, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=192m", "tmpfs", directory], {
      stdio: "ignore",
    });
  } catch {
    return false;
  }
  opened.defer(() => void execFileSync("umount", ["-l", directory]));
  return true;
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** A small generator that can be seeded: the order of faults can be had again. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
