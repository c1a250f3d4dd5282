import type { JsonObject } from "@bufbuild/protobuf";
import type { ISql, JSONValue } from "postgres";
import type { Claim, ClaimValue, NewClaim } from "../domain/claim.ts";

export interface ClaimRow {
  readonly id: string;
  readonly group_id: string;
  readonly kind: Claim["kind"];
  readonly subject: string;
  readonly predicate: string;
  readonly value: ClaimValue | null;
  readonly valid_from: Date | null;
  readonly valid_to: Date | null;
  readonly time_basis: Claim["timeBasis"];
  readonly target: string | null;
  readonly episode_id: string | null;
  readonly span_start: number;
  readonly span_end: number;
  readonly authority: Claim["authority"];
  readonly confidence: number;
  readonly extractor: string;
  readonly attributes: JsonObject;
  readonly said_at: Date;
  readonly recorded_at: Date;
}

export function claimOf(row: ClaimRow): Claim {
  return {
    id: row.id,
    groupId: row.group_id,
    kind: row.kind,
    subject: row.subject,
    predicate: row.predicate,
    value: row.value ?? undefined,
    validFrom: row.valid_from ?? undefined,
    validTo: row.valid_to ?? undefined,
    timeBasis: row.time_basis,
    target: row.target ?? undefined,
    episodeId: row.episode_id ?? undefined,
    spanStart: row.span_start,
    spanEnd: row.span_end,
    authority: row.authority,
    confidence: row.confidence,
    extractor: row.extractor,
    attributes: Object.keys(row.attributes).length > 0 ? row.attributes : undefined,
    saidAt: row.said_at,
    recordedAt: row.recorded_at,
  };
}

/** Without what is undefined, which JSON has no word for. */
export function asJson(value: object): JSONValue {
  return JSON.parse(JSON.stringify(value)) as JSONValue; // what parse returns is JSON
}

/** A claim that was kept as JSON. */
export function claimFromJson(kept: Record<string, unknown>): NewClaim {
  const date = (text: unknown) => (typeof text === "string" ? new Date(text) : undefined);
  const { validFrom, validTo, ...rest } = kept;
  const absent = { value: undefined, target: undefined, episodeId: undefined };
  // This store wrote it from a NewClaim; JSON kept all but the dates and what was undefined.
  const claim = { ...absent, ...rest } as Omit<NewClaim, "validFrom" | "validTo">;
  return { ...claim, validFrom: date(validFrom), validTo: date(validTo) };
}

export async function claimsById(
  sql: ISql,
  tenantId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Claim>> {
  const rows = await sql<ClaimRow[]>`
    select * from claims where tenant_id = ${tenantId} and id = any(${[...ids]})`;
  return new Map(rows.map((row) => [row.id, claimOf(row)]));
}

export async function insertClaims(
  sql: ISql,
  tenantId: string,
  claims: readonly Claim[],
): Promise<void> {
  await sql`
    insert into claims (
      tenant_id, id, group_id, kind, subject, predicate, value, valid_from, valid_to, time_basis,
      target, episode_id, span_start, span_end, authority, confidence, extractor, said_at,
      recorded_at, attributes
    )
    select ${tenantId}, id, "groupId", kind, subject, predicate, value, "validFrom", "validTo",
      "timeBasis", target, "episodeId", "spanStart", "spanEnd", authority, confidence, extractor,
      "saidAt", "recordedAt", coalesce(attributes, '{}')
    from jsonb_to_recordset(${sql.json(asJson(claims))}) as c (
      id text, "groupId" text, kind text, subject text, predicate text, value jsonb,
      "validFrom" timestamptz(3), "validTo" timestamptz(3), "timeBasis" text, target text,
      "episodeId" uuid, "spanStart" int, "spanEnd" int, authority text, confidence float8,
      extractor text, "saidAt" timestamptz(3), "recordedAt" timestamptz(3), attributes jsonb
    )`;
}
