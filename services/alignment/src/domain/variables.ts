import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { nextMoment } from "@soldier/kernel/cron";
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
  | "stale"
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
  const cached = aged(question.resolved[variable.name]);
  if (cached && isFresh(cached.expiresAt, question.now))
    return { source: "cache", value: cached.value };
  const set = question.bundle.variableValues.get(variable.name) ?? [];
  // What a tool of the variable said before is better than nothing, and than what is not about this customer.
  let stale: { readonly value: Json } | undefined = variable.toolId === "" ? undefined : cached;
  for (const { level, source } of levels) {
    if (stale && level !== VariableLevel.CUSTOMER) return { source: "stale", value: stale.value };
    const found = set.find(
      (value) =>
        (value.level || VariableLevel.AGENT) === level &&
        isFor(value, question) &&
        isFresh(value.expiresAt, question.now),
    );
    const value = jsonOf(found?.value);
    if (value === undefined) continue;
    if (level === VariableLevel.CUSTOMER && isOutdated(variable, found, question.now))
      stale = { value };
    else return { source, value };
  }
  const value = jsonOf(variable.defaultValue);
  return value === undefined ? { source: "unresolved", value } : { source: "default", value };
}

function aged(resolved: ResolvedVariable | undefined) {
  const value = jsonOf(resolved?.value);
  return value === undefined ? undefined : { value, expiresAt: resolved?.expiresAt };
}

/** Whether the variable's tool is to be asked again, by the age of what is stored. */
function isOutdated(variable: Variable, stored: VariableValue | undefined, now: Date): boolean {
  if (variable.toolId === "" || !stored?.updatedAt) return false;
  const until = freshUntil(variable, timestampDate(stored.updatedAt));
  return until !== undefined && until <= now;
}

/** How long a value of this moment is used: undefined is for good. */
function freshUntil(variable: Variable, since: Date): Date | undefined {
  const ttlMs = ttlOf(variable);
  const ends = [
    ...(ttlMs > 0 ? [new Date(since.getTime() + ttlMs)] : []),
    ...(variable.refreshCron ? [nextMoment(variable.refreshCron, since)] : []),
  ].filter((each) => each !== undefined);
  return ends.toSorted((a, b) => a.getTime() - b.getTime())[0];
}

function ttlOf({ cacheTtl }: Variable): number {
  return Number(cacheTtl?.seconds ?? 0n) * 1_000 + (cacheTtl?.nanos ?? 0) / 1e6;
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
  if (variable.toolId === "") return false;
  // What the last scenario began with is not what this one begins with, unless it says how long it holds.
  const begun = variable.policy === VariablePolicy.ON_SCENARIO_ENTRY && moment.scenarioStarts;
  const timed = ttlOf(variable) > 0 || variable.refreshCron !== "";
  if (source === "cache") return begun && !timed;
  // A tool's own earlier value stored for this customer is as fresh as its age and expiry say.
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
  const lasting =
    variable.policy === VariablePolicy.ON_SESSION_START ||
    variable.policy === VariablePolicy.ON_SCENARIO_ENTRY;
  if (ttlOf(variable) === 0 && variable.refreshCron === "" && !lasting) return undefined;
  return resolvedNow(variable, value, now);
}

/** A value of this moment, as the session keeps it. */
export function resolvedNow(variable: Variable, value: Json, now: Date): ResolvedVariable {
  const until = freshUntil(variable, now);
  return create(ResolvedVariableSchema, {
    value: valueOf(value),
    resolvedAt: timestampFromDate(now),
    ...(until && { expiresAt: timestampFromDate(until) }),
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
