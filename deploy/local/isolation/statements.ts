import type { ISql, Sql } from "postgres";
import { z } from "zod";
import type { Finding } from "./intrude.ts";
import type { Statement } from "./recorder.ts";

/** Statements of machinery that serves every tenant in one go. */
interface Infrastructure {
  readonly tables: RegExp;
  readonly text: RegExp;
  readonly because: string;
}

const infrastructure: readonly Infrastructure[] = [
  {
    tables: /^outbox$/,
    text: /^(with done as|update outbox set|delete from outbox where ctid|select (seq|count))/,
    because: "the relay and the reconciler publish whatever waits; each row tells its tenant",
  },
  {
    tables: /^(, )?((backlog|embeddings|episodes|extractions|groups)(, )?)+$/,
    text: /b\.stage = (\$|'(embedded|extracted)')|from backlog where stage = (\$|'summarised')/,
    because: "the stages of ingestion take whatever is due; they join by tenant_id throughout",
  },
  {
    tables: /^backlog, episodes, summaries, summary_inputs$/,
    text: /as g \(tenant_id, group_id\) where exists \( select from backlog b join .* where b\.tenant_id = g\.tenant_id/,
    because: "summarising asks which of the groups that it has taken are due, each with its tenant",
  },
  {
    tables: /^entities$/,
    text: /as g \(tenant_id, group_id\) join entities e on e\.tenant_id = g\.tenant_id/,
    because: "extraction asks for the names of many groups at once, each with its tenant",
  },
  {
    tables: /^(agent_versions|agent_versions, agents|dead_letters|turn_keys|variable_values)$/,
    text: /^delete from (agent_versions v using|(dead_letters|turn_keys|variable_values) where ctid)/,
    because: "pruning removes what is too old, whoever's it is",
  },
  {
    tables: /^erasures$/,
    text: /^update erasures e set due_at/,
    because: "erasures that were put off are gone on with, each as its tenant",
  },
];

/** What is wrong with a statement; empty when it keeps to its tenant. */
interface Judged {
  readonly statement: Statement;
  readonly kind: string;
  readonly tables: string;
  readonly problems: readonly string[];
}

/**
 * Whether each statement that touches what belongs to tenants is bound to one, as PostgreSQL's own plan
 * of it says: every scan by an equality of tenant_id with a parameter, or with a row that is; every
 * insert with a tenant_id from there. One finding for each class of statements.
 */
export async function judgeStatements(
  sql: Sql,
  statements: readonly Statement[],
): Promise<readonly Finding[]> {
  const judged: Judged[] = [];
  for (const statement of statements) {
    const one = await judge(sql, statement);
    if (one) judged.push(one);
  }
  const classes = Map.groupBy(judged, ({ statement, kind, tables }) =>
    [statement.client.replace("soldier-", ""), kind, tables].join(" "),
  );
  return [...classes].toSorted(byName).map(([name, all]) => classFinding(name, all));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function classFinding(name: string, all: readonly Judged[]): Finding {
  const bad = all.filter(({ problems }) => problems.length > 0);
  const excused = bad.map((one) => infrastructure.find((each) => excuses(each, one)));
  const problems = bad.flatMap(({ statement, problems: found }, i) =>
    excused[i] ? [] : found.map((problem) => `${problem}: ${flat(statement.text)}`),
  );
  const reasons = [...new Set(excused.flatMap((one) => one?.because ?? []))];
  const how = reasons.length > 0 ? `infrastructure: ${reasons.join("; ")}` : "by tenant_id";
  const count = all.length === 1 ? "1 statement" : `${all.length} statements`;
  return { name: `SQL ${name}`, note: `${count}, ${how}`, problems, isBuilt: true };
}

function excuses({ tables, text }: Infrastructure, { statement, tables: touched }: Judged) {
  return tables.test(touched) && text.test(flat(statement.text));
}

function flat(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

const data = /^\s*(with|select|insert|update|delete)\b/i;

/** Undefined when it touches nothing that belongs to tenants. */
async function judge(sql: Sql, statement: Statement): Promise<Judged | undefined> {
  const { client, text } = statement;
  if (!data.test(text) || !client.startsWith("soldier-")) return undefined;
  return await sql.begin(async (tx) => {
    await tx`select set_config('search_path', ${`${client.slice("soldier-".length)},public`}, true)`;
    await tx`select set_config('plan_cache_mode', 'force_generic_plan', true)`;
    const plan = await planOf(tx, statement);
    const own = await ownedIn(tx);
    const nodes = nodesIn(plan);
    const touched = nodes.filter(({ relation }) => own.has(relation));
    if (touched.length === 0) return undefined;
    const bound = boundAliases(nodes);
    const problems = touched.flatMap((node) => wrongIn(node, own, bound));
    const kinds = touched.map(({ operation }) => operation).filter((kind) => kind !== "");
    const tables = touched.map(({ relation }) => own.get(relation)?.table ?? "");
    return {
      statement,
      kind: [...new Set(kinds)].toSorted().join("+").toLowerCase() || "select",
      tables: [...new Set(tables)].toSorted().join(", "),
      problems: [...new Set(problems)],
    };
  });
}

/** The generic plan: it does not depend on any parameter's value. */
async function planOf(tx: ISql, { text, types }: Statement): Promise<unknown> {
  const named = await tx<{ name: string }[]>`
    select case oid when 0 then 'unknown' else format_type(oid, null) end as name
    from unnest(${[...types]}::oid[]) with ordinality as given (oid, place) order by place`;
  const places = new Set(text.match(/\$\d+/g)).size;
  const list = named.map(({ name }) => name).join(", ");
  const nulls = Array.from({ length: places }, () => "null").join(", ");
  await tx.unsafe(`prepare judged${list ? ` (${list})` : ""} as ${text}`);
  const execute = `execute judged${nulls ? ` (${nulls})` : ""}`;
  const [row] = await tx.unsafe<Record<string, unknown>[]>(
    `explain (verbose, format json) ${execute}`,
  );
  await tx.unsafe("deallocate judged");
  return row?.["QUERY PLAN"];
}

/** A relation that belongs to tenants; parts of a table are told by the table's name. */
interface Owned {
  readonly table: string;
  /** Of tenant_id among the columns, from 0. */
  readonly place: number;
}

async function ownedIn(tx: ISql): Promise<ReadonlyMap<string, Owned>> {
  const rows = await tx<{ relation: string; table: string; place: number }[]>`
    select c.relname as relation, coalesce(parent.relname, c.relname) as table,
      (select count(*)::int from pg_attribute b
       where b.attrelid = c.oid and b.attnum > 0 and b.attnum < a.attnum) as place
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
    left join pg_inherits i on i.inhrelid = c.oid
    left join pg_class parent on parent.oid = i.inhparent
    where a.attname = 'tenant_id' and c.relnamespace = current_schema()::regnamespace`;
  return new Map(rows.map(({ relation, table, place }) => [relation, { table, place }]));
}

const conditionKeys = [
  "Index Cond",
  "Recheck Cond",
  "Filter",
  "Hash Cond",
  "Merge Cond",
  "Join Filter",
  "One-Time Filter",
] as const;

const planNode = z.looseObject({
  "Relation Name": z.string().default(""),
  Alias: z.string().default(""),
  Operation: z.string().default(""),
  "Parent Relationship": z.string().default(""),
  Output: z.array(z.string()).default([]),
  Plans: z.array(z.unknown()).default([]),
});

interface Node {
  readonly relation: string;
  readonly alias: string;
  /** Of what changes rows: "Insert", "Update" or "Delete"; empty of a scan. */
  readonly operation: string;
  readonly conditions: readonly string[];
  /** Of an insert: what the columns get, in their order. */
  readonly given: readonly string[];
}

function nodesIn(plan: unknown): readonly Node[] {
  const [top] = z.array(z.object({ Plan: z.unknown() })).parse(plan);
  return top ? walked(top.Plan) : [];
}

function walked(raw: unknown): readonly Node[] {
  const node = planNode.parse(raw);
  const conditions = conditionKeys.flatMap((key) => z.string().safeParse(node[key]).data ?? []);
  // Before it may stand what its WITH does.
  const source = node.Plans.map((each) => planNode.parse(each)).find(
    (each) => each["Parent Relationship"] === "Outer",
  );
  const here: Node = {
    relation: node["Relation Name"],
    alias: node.Alias,
    operation: node.Operation,
    conditions,
    given: node.Operation === "Insert" ? (source?.Output ?? []) : [],
  };
  return [here, ...node.Plans.flatMap(walked)];
}

const column = String.raw`"?([\w*]+)"?\.tenant_id\)?(?:::text)?`;
const parameter = String.raw`\(?\$\d+\)?(?:::text)?`;
const toParameter = new RegExp(
  `${column} = (?:${parameter}|'[^']*'::text)|${parameter} = ${column}`,
  "g",
);
const toColumn = new RegExp(`${column} = \\(?${column}`, "g");

/** The aliases whose tenant_id is that of a parameter, at once or by way of others. */
function boundAliases(nodes: readonly Node[]): ReadonlySet<string> {
  const conditions = nodes.flatMap((node) => node.conditions);
  const bound = new Set(
    conditions.flatMap((text) =>
      [...text.matchAll(toParameter)].flatMap(([, a, b]) => a ?? b ?? []),
    ),
  );
  const pairs = conditions.flatMap((text) =>
    [...text.matchAll(toColumn)].map(([, a = "", b = ""]) => [a, b] as const),
  );
  for (let before = -1; before !== bound.size;) {
    before = bound.size;
    for (const [a, b] of pairs) {
      if (bound.has(a)) bound.add(b);
      if (bound.has(b)) bound.add(a);
    }
  }
  return bound;
}

function wrongIn(
  node: Node,
  own: ReadonlyMap<string, Owned>,
  bound: ReadonlySet<string>,
): readonly string[] {
  const { relation, alias, operation, given } = node;
  const table = own.get(relation)?.table ?? relation;
  if (operation === "Insert") {
    const value = given[own.get(relation)?.place ?? 0] ?? "nothing";
    const isBound = /\$\d+|tenant_id|"\*VALUES\*"/.test(value);
    return isBound ? [] : [`${table} gets the tenant ${value}`];
  }
  // What is updated or deleted is scanned below.
  if (operation !== "" || bound.has(alias)) return [];
  return [`${table} is read without a tenant`];
}
