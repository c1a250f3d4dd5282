import type { ISql } from "postgres";
import { canonicaliser, type Merge } from "../domain/canonical.ts";
import { factChanges } from "../domain/fact-history.ts";
import {
  type Fact,
  factsOf,
  type PredicateRule,
  type PredicateUse,
  type Sayings,
  unknownPredicate,
} from "../domain/facts.ts";
import { knownPredicates } from "../domain/known-predicates.ts";
import {
  type NumberedFact,
  readSayings,
  readVersions,
  ruleOf,
  type Scope,
  writeChanges,
} from "./fact-rows.ts";

/**
 * Takes the group for this transaction and resolves with the time at which all of it is recorded:
 * later than anything recorded in the group before. The row of the group is the lock of all its
 * slots, since rising times need one for the group anyway.
 */
export async function lockGroup(sql: ISql, tenantId: string, groupId: string): Promise<Date> {
  await sql`select pg_advisory_xact_lock_shared(${predicatesLock(sql, tenantId)})`;
  const [row] = await sql<{ recorded_at: Date }[]>`
    insert into groups as g (tenant_id, group_id, head, recorded_at)
    values (${tenantId}, ${groupId}, 0, clock_timestamp())
    on conflict (tenant_id, group_id) do update
      set recorded_at = greatest(g.recorded_at + interval '1 millisecond', clock_timestamp())
    returning recorded_at`;
  if (!row) throw new Error("an upsert answers with its row");
  return row.recorded_at;
}

/** Held shared by whoever writes facts, alone by whoever changes predicates. */
export function predicatesLock(sql: ISql, tenantId: string) {
  return sql`hashtextextended(${`soldier memory predicates of ${tenantId}`}, 0)`;
}

export interface Recomputed {
  readonly before: readonly NumberedFact[];
  readonly after: readonly Fact[];
}

/** Makes the versions believed be what follows from the claims, in these slots or all. */
export async function recompute(
  sql: ISql,
  tenantId: string,
  groupId: string,
  scope: Scope | undefined,
  recordedAt: Date,
): Promise<Recomputed> {
  const said = await readSayings(sql, tenantId, groupId, scope);
  const before = await readVersions(sql, tenantId, groupId, { scope, superseded: false });
  const after = factsOf(said, recordedAt.getTime());
  const changes = factChanges(before, after, said, recordedAt.getTime());
  await writeChanges(sql, said, changes, recordedAt);
  return { before, after };
}

/** The slots that claims about these subjects touch, under every name that is merged with theirs. */
export function scopeOf(
  said: readonly { readonly subject: string; readonly predicate: string }[],
  merges: readonly Merge[],
  uses: readonly PredicateUse[],
): Scope {
  const canonical = canonicaliser(merges, Infinity);
  const touched = new Set(said.map(({ subject }) => canonical(subject)));
  const names = merges.flatMap(({ from, to }) => [from, to]);
  const subjects = new Set([
    ...said.map(({ subject }) => subject),
    ...touched,
    ...names.filter((name) => touched.has(canonical(name))),
  ]);
  const predicates = new Set(said.map(({ predicate }) => predicate));
  const inverse = uses.filter(({ rule }) => rule.inverseOne).map(({ predicate }) => predicate);
  return {
    predicates: [...predicates],
    subjects: [...subjects],
    wholePredicates: [...predicates].filter((predicate) => inverse.includes(predicate)),
  };
}

/**
 * Notes by which rules the group's facts of these predicates follow from now on. Resolves with the
 * predicates whose rule became another than it was.
 */
export async function noteRules(
  sql: ISql,
  { tenantId, groupId, uses }: Pick<Sayings, "tenantId" | "groupId" | "uses">,
  predicates: readonly string[],
  recordedAt: Date,
): Promise<readonly string[]> {
  const declared = await declaredRules(sql, tenantId, predicates);
  const changed: string[] = [];
  for (const predicate of new Set(predicates)) {
    const known = Object.hasOwn(knownPredicates, predicate)
      ? knownPredicates[predicate]
      : undefined;
    const rule = declared.get(predicate) ?? known ?? unknownPredicate;
    const used = uses
      .filter((use) => use.predicate === predicate)
      .toSorted((a, b) => a.recordedAt.getTime() - b.recordedAt.getTime())
      .at(-1);
    if (used && sameRule(used.rule, rule)) continue;
    if (used) changed.push(predicate);
    await sql`
      insert into predicate_uses (
        tenant_id, group_id, predicate, recorded_at, cardinality, inverse_one, authority_first
      ) values (
        ${tenantId}, ${groupId}, ${predicate}, ${recordedAt}, ${rule.cardinality},
        ${rule.inverseOne}, ${rule.authorityFirst}
      )`;
  }
  return changed;
}

async function declaredRules(
  sql: ISql,
  tenantId: string,
  predicates: readonly string[],
): Promise<ReadonlyMap<string, PredicateRule>> {
  const rows = await sql<
    { name: string; cardinality: "one" | "many"; inverse_one: boolean; authority_first: boolean }[]
  >`
    select name, cardinality, inverse_one, authority_first from predicates
    where tenant_id = ${tenantId} and name = any(${[...predicates]})`;
  return new Map(rows.map((row) => [row.name, ruleOf(row)]));
}

function sameRule(a: PredicateRule, b: PredicateRule): boolean {
  return (
    a.cardinality === b.cardinality &&
    a.inverseOne === b.inverseOne &&
    a.authorityFirst === b.authorityFirst
  );
}
