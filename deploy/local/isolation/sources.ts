import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TenantTable } from "./dump.ts";
import type { Finding } from "./intrude.ts";
import type { Statement } from "./recorder.ts";

const root = join(import.meta.dirname, "../../..");
const places = ["services/*/src/store/**/*.ts", "libs/events/src/**/*.ts"];
const notTheProduct = /\.(test|contract)\.ts$|\/testing/;

/** SQL in a source: what stands between its parameters. */
interface Template {
  readonly file: string;
  readonly chunks: readonly string[];
}

/**
 * What serves every tenant and is run only when something fails: the relay's rows tell their tenants, and
 * a dead letter is its event, with the event's tenant, for the operators of the deployment. Or now and then:
 * pruning removes what is too old, and metrics count what waits, whoever's it is.
 */
const ofAllTenants =
  /^(update outbox set|insert into dead_letters|delete from (dead_letters|turn_keys|variable_values) where ctid|select count\(\*\)[^,]*::int as waiting)\b/;

/**
 * Whether the SQL of the sources was judged: what touches a table of tenants was run in the proof, or
 * names tenant_id.
 */
export function judgeSources(
  statements: readonly Statement[],
  tables: readonly TenantTable[],
): Finding {
  const names = [...new Set(tables.map(({ name }) => name))].join("|");
  const touches = new RegExp(`\\b(from|join|into|update|using)\\s+(${names})\\b`);
  const run = statements.map(({ text }) => flat(text));
  const all = templates().filter(({ chunks }) => touches.test(chunks.join(" ")));
  const unseen = all.filter(
    ({ chunks }) => !run.some((text) => chunks.every((chunk) => text.includes(chunk))),
  );
  const problems = unseen
    .filter(({ chunks }) => !/\btenant_id\b/.test(chunks.join(" ")))
    .filter(({ chunks }) => !ofAllTenants.test(chunks.join(" ")))
    .map(({ file, chunks }) => `${file} names no tenant: ${chunks.join(" … ").slice(0, 160)}`);
  const where = [...Map.groupBy(unseen, ({ file }) => file)].map(
    ([file, these]) => `${file} (${these.length})`,
  );
  const others = where.length > 0 ? `; not run, but read: ${where.join(", ")}` : "";
  return {
    name: "SQL in the sources",
    note: `${all.length} templates touch tables of tenants, ${all.length - unseen.length} were run and judged${others}`,
    problems,
    isBuilt: true,
  };
}

function templates(): readonly Template[] {
  return places
    .flatMap((place) => globSync(place, { cwd: root }))
    .filter((file) => !notTheProduct.test(file))
    .toSorted()
    .flatMap((file) => templatesIn(file, readFileSync(join(root, file), "utf8")));
}

/** Also those inside of others. */
function templatesIn(file: string, source: string): readonly Template[] {
  return [...source.matchAll(/\b(?:sql|tx)(?:<[^`;]*?>)?`/g)].map((found) => ({
    file,
    chunks: chunksFrom(source, found.index + found[0].length),
  }));
}

/** What stands between the parameters of the template that begins here. */
function chunksFrom(source: string, start: number): readonly string[] {
  const chunks: string[] = [];
  let from = start;
  let at = start;
  while (at < source.length && source[at] !== "`") {
    if (source.startsWith("${", at)) {
      chunks.push(source.slice(from, at));
      at = endOfParameter(source, at + 2);
      from = at;
    } else at += 1;
  }
  chunks.push(source.slice(from, at));
  return chunks.map(flat).filter((chunk) => chunk !== "");
}

/** Past the brace that closes it; a template inside may have parameters of its own. */
function endOfParameter(source: string, start: number): number {
  let depth = 1;
  let at = start;
  for (; at < source.length && depth > 0; at += 1) {
    if (source[at] === "{") depth += 1;
    if (source[at] === "}") depth -= 1;
  }
  return at;
}

function flat(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
