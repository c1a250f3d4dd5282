import { eraseLettersOf } from "@soldier/events/dead-letters";
import { turnCommittedTopic } from "@soldier/events/topics";
import type { TurnCommitted } from "@soldier/proto/events/v1/events";
import type { ISql } from "postgres";
import type { LetterCounts } from "./profile-store.ts";

/** What this service gave up of turns that are covered, and what may be of them: see eraseLettersOf. */
export async function eraseLetters(
  sql: ISql,
  tenantId: string,
  covers: (turn: TurnCommitted) => boolean,
): Promise<LetterCounts> {
  const { letters, unreadable } = await eraseLettersOf(sql, turnCommittedTopic, tenantId, covers);
  return {
    ...(letters > 0 && { dead_letters: letters }),
    ...(unreadable > 0 && { unreadable_letters: unreadable }),
  };
}
