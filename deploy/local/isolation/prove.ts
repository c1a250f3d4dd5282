import type { DescMethod } from "@bufbuild/protobuf";
import type { Service } from "@soldier/chassis/service";
import { runForTest, type TestMesh } from "@soldier/chassis/testing";
import { newId } from "@soldier/kernel/ids";
import postgres, { type Sql } from "postgres";
import { asOwner, harmOf } from "./as-owner.ts";
import { contractServices } from "./contract.ts";
import { type Finding, intrude, type Target } from "./intrude.ts";
import { type Dump, dumpOf, tenantTables } from "./dump.ts";
import { learnLists } from "./learn.ts";
import { idsIn } from "./leaks.ts";
import { recordStatements } from "./recorder.ts";
import { judgeSources } from "./sources.ts";
import { judgeStatements } from "./statements.ts";
import { canaryVoice, plainVoice } from "./voice.ts";
import { fillWorld, learnRecords } from "./world.ts";

export interface Proof {
  readonly findings: readonly Finding[];
  readonly passed: number;
  readonly failed: number;
}

export interface ProofOptions {
  readonly databaseUrl: string;
  readonly services: readonly Service[];
  /** Told of each finding as it is made. */
  readonly tell: (line: string) => void;
  /** Only RPCs whose name holds this; empty is all of them. */
  readonly only?: string;
}

/** Two tenants in one mesh, and every RPC of the contract called by the one with what is the other's. */
export async function prove(options: ProofOptions): Promise<Proof> {
  const { databaseUrl, services, tell, only = "" } = options;
  await using opened = new AsyncDisposableStack();
  const recorder = opened.use(await recordStatements(databaseUrl));
  // Policies hold for the owner of the tables, too.
  const connection = { "soldier.tenant": "*" };
  const sql = postgres(databaseUrl, { max: 2, onnotice: () => {}, connection });
  opened.defer(() => sql.end({ timeout: 5 }));
  const mesh = opened.use(
    await runForTest(services, {
      settings: {
        postgres: { url: recorder.url },
        events: { url: "inproc://isolation?consumers=audit,memory,profile" },
        embedder: { provider: "deterministic" },
        chat_gateway: { limits: { requests_per_second: 100_000, burst: 100_000 } },
      },
    }),
  );
  recorder.forget(); // migrations belong to no tenant
  const target = await prepare(mesh, sql);
  const methods = (await contractServices())
    .flatMap((service) => service.methods)
    .filter((method) => `${method.parent.name}/${method.name}`.includes(only));

  const findings: Finding[] = [];
  const intrusions = new Map<DescMethod, Finding>();
  // Reads first: they look at worlds in which nothing has been planted yet.
  for (const method of methods.toSorted((a, b) => harmOf(a) - harmOf(b)))
    intrusions.set(method, await intrude(target, method));
  const owned = await asOwner(target, methods);
  for (const method of methods) {
    const finding = intrusions.get(method);
    const own = owned.get(method);
    if (!finding || !own) throw new Error(`nobody has tried ${method.name}`);
    const problems = [...finding.problems, ...own.problems];
    // What is not built can still leak, at the edge or before its handler would be asked.
    const isBuilt = own.isBuilt || finding.problems.some((one) => !one.startsWith("not proven"));
    findings.push({ ...finding, problems, isBuilt });
  }
  await quiet(sql);
  const statements = recorder.statements();
  findings.push(...(await judgeStatements(sql, statements)));
  if (only === "") {
    findings.push(tablesFinding(target.before, findings));
    findings.push(judgeSources(statements, await tenantTables(sql)));
  }
  for (const finding of findings) tell(lineOf(finding));
  const judged = findings.filter(({ isBuilt }) => isBuilt);
  const failed = judged.filter(({ problems }) => problems.length > 0).length;
  const left = findings.length - judged.length;
  tell(`${methods.length - left} RPCs, and ${judged.length - methods.length + left} more findings`);
  if (left > 0) tell(`${left} RPCs are not built: they answer UNIMPLEMENTED to their owner, too`);
  tell(`${judged.length - failed} passed, ${failed} failed`);
  return { findings, passed: judged.length - failed, failed };
}

async function prepare(mesh: TestMesh, sql: Sql): Promise<Target> {
  const owner = await fillWorld(mesh, newId(), canaryVoice);
  const intruder = await fillWorld(mesh, newId(), plainVoice);
  await quiet(sql);
  for (const world of [owner, intruder]) {
    await learnRecords(mesh, world);
    await learnLists(mesh, world);
  }
  const tables = await tenantTables(sql);
  const dump = () => dumpOf(sql, tables, owner.identity.tenantId);
  const before = await dump();
  const held = idsIn([...before.values(), ...owner.ids.all()].join("\n"));
  return { mesh, owner, intruder, secrets: { ids: held }, dump, before };
}

const quietMaxMs = 20_000;

/** Until all that was committed has been told, taken and embedded. */
async function quiet(sql: Sql): Promise<void> {
  const until = performance.now() + quietMaxMs;
  for (;;) {
    const [row] = await sql<{ waiting: number }[]>`
      select (select count(*) from session.outbox where published_at is null)::int
        + (select count(*) from config.outbox where published_at is null)::int
        + (select count(*) from profile.outbox where published_at is null)::int
        + (select count(*) from memory.backlog
          where stage <> 'summarised' or due_at <= now())::int as waiting`;
    if (row?.waiting === 0) return;
    if (performance.now() > until) throw new Error(`${row?.waiting} events or episodes still wait`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * No RPC leads to these, or they are empty whenever nothing waits, or are kept for the release before,
 * or hold what an erasure has yet to work off.
 */
const mayBeEmpty = /\.(dead_letters|backlog)$|^profile\.fields$|^memory\.reopened_facts$/;

/** Of a table without a row of the owner's nothing is proved, unless its service is not all built. */
function tablesFinding(before: Dump, rpcs: readonly Finding[]): Finding {
  const unfinished = new Set(
    rpcs.flatMap(({ name, isBuilt }) => (isBuilt ? [] : name.split(".")[0])),
  );
  const empty = [...before].filter(([, rows]) => rows === "").map(([table]) => table);
  return {
    name: "tables of tenants",
    note: `${before.size}, with rows of the owner's in ${before.size - empty.length}; none but for ${empty.join(", ")} is empty`,
    problems: empty
      .filter((table) => !mayBeEmpty.test(table) && !unfinished.has(table.split(".")[0] ?? ""))
      .map((table) => `not proven: the owner has nothing in ${table}`),
    isBuilt: true,
  };
}

function lineOf({ name, note, problems, isBuilt }: Finding): string {
  if (!isBuilt) return `--   ${name}  not built`;
  if (problems.length === 0) return `ok   ${name}  ${note}`;
  return [`FAIL ${name}  ${note}`, ...problems.map((problem) => `       ${problem}`)].join("\n");
}
