import type { JsonValue } from "@bufbuild/protobuf";
import type { Fragment, ISql } from "postgres";
import { typeNames } from "../domain/entity-matching.ts";

export type Comparison = "=" | "<>" | "<" | "<=" | ">" | ">=" | "is null" | "is not null";

/** What is absent meets "is null" alone. */
export interface TimeCondition {
  readonly comparison: Comparison;
  /** Undefined of "is null" and "is not null". */
  readonly time: Date | undefined;
}

export interface AttributeCondition {
  readonly name: string;
  readonly comparison: Comparison;
  /** Undefined of "is null" and "is not null"; never JSON's null. */
  readonly value: JsonValue | undefined;
}

/** What is asked of a fact's own content. Each is any when empty. */
export interface FactFilters {
  /** Of its beginning: all conditions of any of the groups. */
  readonly from: readonly (readonly TimeCondition[])[];
  /** Of its end, which is absent of an open one. */
  readonly to: readonly (readonly TimeCondition[])[];
  readonly attributes: readonly AttributeCondition[];
  /** Types of entities, under any word for them. */
  readonly subjectTypes: readonly string[];
  readonly objectTypes: readonly string[];
}

/** Conditions on fact_versions v, each beginning with "and". */
export function filtered(sql: ISql, filters: FactFilters | undefined): Fragment {
  if (!filters) return sql``;
  const { from, to, attributes, subjectTypes, objectTypes } = filters;
  return sql`
    ${times(sql, sql`lower(v.valid)`, from)}
    ${times(sql, sql`upper(v.valid)`, to)}
    ${each(
      sql,
      attributes.map((condition) => attribute(sql, condition)),
    )}
    ${typed(sql, sql`v.subject`, subjectTypes)}
    ${objectTypes.length > 0 ? sql`and v.value->>'kind' = 'entity'` : sql``}
    ${typed(sql, sql`v.value->>'id'`, objectTypes)}`;
}

function each(sql: ISql, conditions: readonly Fragment[]): Fragment {
  return conditions.reduce<Fragment>((all, one) => sql`${all} and ${one}`, sql``);
}

function times(
  sql: ISql,
  column: Fragment,
  groups: readonly (readonly TimeCondition[])[],
): Fragment {
  if (groups.length === 0) return sql``;
  const any = groups.reduce<Fragment>(
    (before, group) => {
      const conditions = group.map(({ comparison, time }) =>
        compared(sql, column, comparison, time && sql`${time}::timestamptz`),
      );
      return sql`${before} or (true ${each(sql, conditions)})`;
    },
    sql`false`,
  );
  return sql`and (${any})`;
}

function attribute(sql: ISql, { name, comparison, value }: AttributeCondition): Fragment {
  const own = sql`nullif(v.attributes -> ${name}::text, 'null'::jsonb)`;
  if (value === undefined) return compared(sql, own, comparison, undefined);
  const wanted = sql`${sql.json(value)}::jsonb`;
  const comparing = compared(sql, own, comparison, wanted);
  // Values of two kinds are different; neither is before the other.
  return comparison === "=" || comparison === "<>"
    ? comparing
    : sql`(jsonb_typeof(${own}) = jsonb_typeof(${wanted}) and ${comparing})`;
}

function typed(sql: ISql, id: Fragment, types: readonly string[]): Fragment {
  if (types.length === 0) return sql``;
  return sql`and exists (
    select from entities t
    where t.tenant_id = v.tenant_id and t.group_id = v.group_id and t.id = ${id}
      and lower(t.type) = any(${types.flatMap(typeNames)}))`;
}

function compared(
  sql: ISql,
  left: Fragment,
  comparison: Comparison,
  right: Fragment | undefined,
): Fragment {
  if (comparison === "is null") return sql`${left} is null`;
  if (comparison === "is not null") return sql`${left} is not null`;
  if (!right) throw new Error(`${comparison} compares with something`);
  switch (comparison) {
    case "=":
      return sql`${left} = ${right}`;
    case "<>":
      return sql`${left} <> ${right}`;
    case "<":
      return sql`${left} < ${right}`;
    case "<=":
      return sql`${left} <= ${right}`;
    case ">":
      return sql`${left} > ${right}`;
    case ">=":
      return sql`${left} >= ${right}`;
  }
}
