import type { ISql } from "postgres";
import type { Episode, EpisodeRole } from "../domain/episode.ts";

export interface EpisodeRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly group_id: string;
  readonly revision: number;
  readonly customer_id: string;
  readonly agent_id: string;
  readonly session_id: string;
  readonly turn_id: string;
  readonly ingest_key: string;
  readonly role: EpisodeRole;
  readonly text: string;
  readonly occurred_at: Date;
  readonly recorded_at: Date;
}

/** The columns of episodes e in the order of EpisodeRow; numbers as numbers, not as text. */
export function columns(sql: ISql) {
  return sql`e.id, e.tenant_id, e.group_id, e.revision::float8 as revision, e.customer_id,
    e.agent_id, e.session_id, e.turn_id, e.ingest_key, e.role, e.text, e.occurred_at, e.recorded_at`;
}

export function episodeOf(row: EpisodeRow): Episode {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    groupId: row.group_id,
    revision: row.revision,
    customerId: row.customer_id,
    agentId: row.agent_id,
    sessionId: row.session_id,
    turnId: row.turn_id,
    ingestKey: row.ingest_key,
    role: row.role,
    text: row.text,
    occurredAt: row.occurred_at,
    recordedAt: row.recorded_at,
  };
}
