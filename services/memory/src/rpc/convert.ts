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
import type { MemoryHit } from "../search/search-memory.ts";
import { factMessage } from "./convert-facts.ts";
import { summaryMessage } from "./summaries-rpc.ts";

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

/** A hit with how a fact stands at the instant, in milliseconds. */
export function hitMessage(
  hit: MemoryHit,
  instant: number,
): MessageInitShape<typeof MemoryHitSchema> {
  const scored = { score: hit.score, scoreParts: { ...hit.parts } };
  switch (hit.kind) {
    case "episode":
      return { ...scored, found: { case: "episode", value: episodeMessage(hit.episode) } };
    case "fact": {
      const value = factMessage(hit.fact, instant);
      const { text, episodeIds } = hit;
      return { ...scored, found: { case: "fact", value }, text, sourceIds: [...episodeIds] };
    }
    case "summary": {
      const value = summaryMessage(hit.summary);
      return { ...scored, found: { case: "summary", value }, sourceIds: [...hit.summary.inputIds] };
    }
  }
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
  parked: IngestionStatus.PARKED,
  waiting: IngestionStatus.WAITING,
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
