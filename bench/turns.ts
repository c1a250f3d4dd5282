// What a turn costs: one process and seven, with a model that answers at once and an embedder that
// costs nothing, so that what remains is the engine. Everything is started here, in processes of
// their own, and talks over real sockets to a real PostgreSQL (and NATS, for the mesh).
//
//   npm run bench:turns            both ways
//   npm run bench:turns -- one     one process only; "mesh" for seven only
//   npm run bench:turns -- --rules 1000 --turns 2000 --json
//   npm run bench:turns -- one --profile DIRECTORY   with a CPU profile of the process
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readSettings, settingsFor } from "@soldier/chassis/settings";
import type { Announcement } from "@soldier/local/announcement";
import { postgresSettings } from "@soldier/storage/postgres";
import postgres from "postgres";
import { benchAgent, messages } from "./agent.ts";
import { converse, type Measured, percentile } from "./load.ts";
import { counters, type Counters } from "./counters.ts";
import { engineOnly } from "./engine-only.ts";
import { cpuMs, postgresPids, residentMb } from "./processes.ts";
import type { Target } from "@soldier/local/requests";
import { install, startHost } from "./started.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rules: { type: "string", default: "200" },
    turns: { type: "string", default: "1000" },
    profile: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const rules = Number(values.rules);
const turns = Number(values.turns);
const ways = positionals.length > 0 ? positionals : ["one", "mesh"];

const rows: Row[] = [];
for (const way of ways) rows.push(...(await measure(way)));
if (values.json) console.log(JSON.stringify(rows, null, 2));
else print(rows);

interface Row {
  readonly way: string;
  readonly sessions: number;
  readonly turnsPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly cpuMsPerTurn: Readonly<Record<string, number>>;
  readonly sqlPerTurn: number;
  readonly rpcPerTurn: number;
  readonly residentMb: number;
}

async function measure(way: string): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "soldier-bench-"));
  const started = await startHost({ way, directory, env: engineOnly, profile: values.profile });
  try {
    const { announcement } = started;
    await install(announcement, benchAgent("bench", rules));
    const target: Target = { ...announcement, agent: "bench" };
    await converse(target, 8, 300, messages); // compiled, connected, cached
    const measured: Row[] = [];
    for (const sessions of [1, 16, 64]) {
      const count = sessions === 1 ? Math.ceil(turns / 3) : turns;
      measured.push(
        await row(way, announcement, directory, () => converse(target, sessions, count, messages)),
      );
    }
    return measured;
  } finally {
    await started.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function row(
  way: string,
  announcement: Announcement,
  directory: string,
  run: () => Promise<Measured>,
): Promise<Row> {
  const processes = Object.entries(announcement.processes);
  const database = way === "one" ? directory : await dataDirectory();
  const groups = () =>
    new Map([
      ...processes.map(([name, { pid }]) => [name, cpuMs([pid])] as const),
      ["postgres", cpuMs(postgresPids(database))] as const,
    ]);
  const totals = async (): Promise<Counters> =>
    counters(processes.map(([, { admin_url: url }]) => `${url}/metrics`));
  const [cpuBefore, before] = [groups(), await totals()];
  const measured = await run();
  const [cpuAfter, after] = [groups(), await totals()];
  const perTurn = (from: number, to: number) => (to - from) / measured.turns;
  return {
    way,
    sessions: measured.sessions,
    turnsPerSecond: measured.turns / measured.seconds,
    p50Ms: percentile(measured.latenciesMs, 0.5),
    p95Ms: percentile(measured.latenciesMs, 0.95),
    cpuMsPerTurn: Object.fromEntries(
      [...cpuAfter].map(([name, ms]) => [name, perTurn(cpuBefore.get(name) ?? 0, ms)]),
    ),
    sqlPerTurn: perTurn(before.sql, after.sql),
    rpcPerTurn: perTurn(before.rpc, after.rpc),
    residentMb: residentMb(processes.map(([, { pid }]) => pid)),
  };
}

/** Of the server that the mesh uses; this machine's, or its processes are not found and count nothing. */
async function dataDirectory(): Promise<string> {
  const { url } = settingsFor(
    { settings: { postgres: postgresSettings } },
    readSettings(),
  ).postgres;
  const sql = postgres(url, { max: 1 });
  try {
    const [server] = await sql<{ data_directory: string }[]>`show data_directory`;
    return server?.data_directory ?? "";
  } finally {
    await sql.end();
  }
}

function print(all: readonly Row[]): void {
  const number = (value: number, digits = 1) => value.toFixed(digits);
  console.log(
    `${rules} rules, ${turns} turns each, Node ${process.version}, scripted model, deterministic embedder`,
  );
  console.log("| way | sessions | turns/s | p50 ms | p95 ms | CPU ms per turn | SQL | RPC | MB |");
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const each of all) {
    const cpu = Object.entries(each.cpuMsPerTurn).map(([name, ms]) => `${name} ${number(ms)}`);
    const sum = Object.values(each.cpuMsPerTurn).reduce((a, b) => a + b, 0);
    console.log(
      `| ${each.way} | ${each.sessions} | ${number(each.turnsPerSecond, 0)} | ${number(each.p50Ms)} | ${number(each.p95Ms)} | ${number(sum)} (${cpu.join(", ")}) | ${number(each.sqlPerTurn)} | ${number(each.rpcPerTurn)} | ${number(each.residentMb, 0)} |`,
    );
  }
}
