import { timestampDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import type { TurnTold } from "@soldier/proto/events/v1/events";
import { type NewEpisode, storableText } from "../domain/episode.ts";

/**
 * What a committed turn leaves in memory: what the customer said and what was answered, without
 * the one that is empty. The customer is the group.
 */
export function turnEpisodes(committed: TurnTold): readonly NewEpisode[] {
  const { turn, customerId, agentId } = committed;
  if (!turn || customerId === "") return [];
  const receivedAt = turn.receivedAt ?? turn.committedAt;
  const committedAt = turn.committedAt ?? turn.receivedAt;
  if (!receivedAt || !committedAt) return [];
  const part = (role: "user" | "agent", text: string, at: typeof receivedAt): NewEpisode => ({
    id: newId(),
    groupId: customerId,
    customerId,
    agentId,
    sessionId: turn.sessionId,
    turnId: turn.id,
    ingestKey: `${turn.sessionId}:${turn.number}:${role}`,
    role,
    text: storableText(text),
    occurredAt: timestampDate(at),
  });
  return [
    part("user", turn.userText, receivedAt),
    part("agent", turn.replyText, committedAt),
  ].filter(({ text }) => text.trim() !== "");
}
