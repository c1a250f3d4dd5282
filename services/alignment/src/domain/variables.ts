import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import {
  type Variable,
  VariableLevel,
  VariablePolicy,
  type VariableValue,
} from "@soldier/proto/config/v1/template";
import { type ResolvedVariable, ResolvedVariableSchema } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "./compiled-bundle.ts";
import { type Json, type JsonRecord, jsonOf, valueOf } from "./json.ts";

/** Where a variable's value came from, as in the turn record. */
export type VariableSource =
  | "tool"
  | "cache"
  | "customer"
  | "group"
  | "agent"
  | "global"
  | "default"
  | "unresolved";

export interface Resolution {
  readonly source: VariableSource;
  readonly value: Json | undefined;
}

export interface VariableQuestion {
  readonly bundle: Pick<CompiledBundle, "variables" | "variableValues">;
  /** Values that earlier turns resolved. */
  readonly resolved: Readonly<Record<string, ResolvedVariable>>;
  readonly customerId: string;
  /** Groups of the customer, by name. */
  readonly groups: readonly string[];
  readonly now: Date;
}

/** What each variable is without calling a tool. */
export function standingVariables(question: VariableQuestion): ReadonlyMap<string, Resolution> {
  return new Map(
    [...question.bundle.variables.values()].map((variable) => [
      variable.name,
      standing(variable, question),
    ]),
  );
}

export function valuesOf(resolutions: ReadonlyMap<string, Resolution>): JsonRecord {
  const values: JsonRecord = {};
  for (const [name, { value }] of resolutions) if (value !== undefined) values[name] = value;
  return values;
}

function standing(variable: Variable, question: VariableQuestion): Resolution {
  const cached = question.resolved[variable.name];
  if (cached && isFresh(cached.expiresAt, question.now)) {
    const value = jsonOf(cached.value);
    if (value !== undefined) return { source: "cache", value };
  }
  const set = question.bundle.variableValues.get(variable.name) ?? [];
  for (const { level, source } of levels) {
    const found = set.find(
      (value) =>
        (value.level || VariableLevel.AGENT) === level &&
        isFor(value, question) &&
        isFresh(value.expiresAt, question.now),
    );
    const value = jsonOf(found?.value);
    if (value !== undefined) return { source, value };
  }
  const value = jsonOf(variable.defaultValue);
  return value === undefined ? { source: "unresolved", value } : { source: "default", value };
}

const levels = [
  { level: VariableLevel.CUSTOMER, source: "customer" },
  { level: VariableLevel.GROUP, source: "group" },
  { level: VariableLevel.AGENT, source: "agent" },
  { level: VariableLevel.GLOBAL, source: "global" },
] as const;

function isFor({ level, key }: VariableValue, { customerId, groups }: VariableQuestion): boolean {
  if (level === VariableLevel.CUSTOMER) return key === customerId;
  return level === VariableLevel.GROUP ? groups.includes(key) : true;
}

function isFresh(expiresAt: ResolvedVariable["expiresAt"], now: Date): boolean {
  return expiresAt === undefined || timestampDate(expiresAt) > now;
}

export interface Moment {
  /** Names that something in use refers to. */
  readonly named: ReadonlySet<string>;
  readonly firstTurn: boolean;
  readonly scenarioStarts: boolean;
}

/** Whether a tool shall be asked for the variable now; a fresh value that we hold is never asked for. */
export function needsTool(variable: Variable, { source }: Resolution, moment: Moment): boolean {
  if (variable.toolId === "" || source === "cache") return false;
  // A tool's own earlier value stored for this customer is as fresh as its expiry says.
  if (source === "customer") return false;
  switch (variable.policy) {
    case VariablePolicy.ON_EACH_TURN:
      return true;
    case VariablePolicy.ON_SCENARIO_ENTRY:
      return moment.scenarioStarts || moment.named.has(variable.name);
    case VariablePolicy.ON_SESSION_START:
      return moment.firstTurn || moment.named.has(variable.name);
    case VariablePolicy.ON_DEMAND:
    case VariablePolicy.UNSPECIFIED:
    default:
      return moment.named.has(variable.name);
  }
}

/** What later turns may use again; undefined when the value is for this turn only. */
export function remembered(
  variable: Variable,
  value: Json,
  now: Date,
): ResolvedVariable | undefined {
  const ttlMs =
    Number(variable.cacheTtl?.seconds ?? 0n) * 1_000 + (variable.cacheTtl?.nanos ?? 0) / 1e6;
  const lasting =
    variable.policy === VariablePolicy.ON_SESSION_START ||
    variable.policy === VariablePolicy.ON_SCENARIO_ENTRY;
  if (ttlMs === 0 && !lasting) return undefined;
  return create(ResolvedVariableSchema, {
    value: valueOf(value),
    resolvedAt: timestampFromDate(now),
    ...(ttlMs > 0 && { expiresAt: timestampFromDate(new Date(now.getTime() + ttlMs)) }),
  });
}

/** The customer's groups: what the profile field "groups" says, one name or several. */
export function groupsOf(profile: JsonRecord): readonly string[] {
  const groups = profile["groups"];
  if (typeof groups === "string") return groups.split(",").map((name) => name.trim());
  return Array.isArray(groups)
    ? groups.filter((name): name is string => typeof name === "string")
    : [];
}
