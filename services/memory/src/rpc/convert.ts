import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import {
  type Episode as EpisodeMessage,
  EpisodeRole as MessageRole,
  type EpisodeSchema,
  IngestionStatus,
} from "@soldier/proto/memory/v1/memory";
import type { MemoryHitSchema, QueryEmbedding } from "@soldier/proto/memory/v1/memory_service";
import {
  type Episode,
  type EpisodeRole,
  type NewEpisode,
  type Stage,
  storableText,
} from "../domain/episode.ts";
import type { EpisodeHit } from "../search/rank-episodes.ts";

/** What an operator gives to be stored; undefined when its role is not given. */
export function newEpisode(message: EpisodeMessage, now: Date): NewEpisode | undefined {
  const role = roleOf(message.role);
  if (!role) return undefined;
  return {
    id: newId(),
    groupId: message.groupId || message.customerId,
    customerId: message.customerId,
    agentId: message.agentId,
    sessionId: message.sessionId,
    turnId: message.turnId,
    ingestKey: message.ingestKey,
    role,
    text: storableText(message.text),
    occurredAt: message.occurredAt ? timestampDate(message.occurredAt) : now,
  };
}

/** The stages are left out when they are not asked for: a search has no use for them. */
export function episodeMessage(
  episode: Episode,
  stages: readonly Stage[] = [],
): MessageInitShape<typeof EpisodeSchema> {
  return {
    id: episode.id,
    tenantId: episode.tenantId,
    groupId: episode.groupId,
    customerId: episode.customerId,
    agentId: episode.agentId,
    sessionId: episode.sessionId,
    turnId: episode.turnId,
    ingestKey: episode.ingestKey,
    role: messageRoles[episode.role],
    text: episode.text,
    occurredAt: timestampFromDate(episode.occurredAt),
    recordedAt: timestampFromDate(episode.recordedAt),
    stages: stages.map(({ status, ...stage }) => ({ ...stage, status: statuses[status] })),
  };
}

export function hitMessage(hit: EpisodeHit): MessageInitShape<typeof MemoryHitSchema> {
  return {
    found: { case: "episode", value: episodeMessage(hit.episode) },
    score: hit.score,
    scoreParts: { ...hit.parts },
  };
}

export function queryEmbedding(message: QueryEmbedding | undefined) {
  return message && { model: message.model, vector: Float32Array.from(message.values) };
}

const messageRoles: Record<EpisodeRole, MessageRole> = {
  user: MessageRole.USER,
  agent: MessageRole.AGENT,
  event: MessageRole.EVENT,
  document: MessageRole.DOCUMENT,
};

const statuses: Record<Stage["status"], IngestionStatus> = {
  pending: IngestionStatus.PENDING,
  done: IngestionStatus.DONE,
  failed: IngestionStatus.FAILED,
};

function roleOf(role: MessageRole): EpisodeRole | undefined {
  switch (role) {
    case MessageRole.USER:
      return "user";
    case MessageRole.AGENT:
      return "agent";
    case MessageRole.EVENT:
      return "event";
    case MessageRole.DOCUMENT:
      return "document";
    case MessageRole.UNSPECIFIED:
    default:
      return undefined; // a role of a newer version among them
  }
}
