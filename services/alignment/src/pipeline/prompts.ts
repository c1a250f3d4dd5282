import { readFileSync } from "node:fs";
import type { Turn as SessionTurn } from "@soldier/proto/session/v1/session";
import { asData, blocks, dataBlock } from "../domain/prompt-data.ts";

/** The prompt beside a step, read once. */
export function instructions(stepUrl: string, file: string): string {
  return readFileSync(new URL(file, stepUrl), "utf8").trim();
}

const turnsShown = 6;

/**
 * The latest of a conversation and the message, as one text for a model that judges it. Each speaker's
 * words are between tags that the words themselves can't write, so nobody can fake a turn.
 */
export function conversation(history: readonly SessionTurn[], message: string): string {
  const before = history
    .slice(-turnsShown)
    .flatMap(({ userText, replyText }) => [
      ...(userText ? [`<customer>${asData(userText)}</customer>`] : []),
      ...(replyText ? [`<agent>${asData(replyText)}</agent>`] : []),
    ]);
  return blocks(
    before.length > 0 ? `<conversation>\n${before.join("\n")}\n</conversation>` : "",
    message === "" ? opening : dataBlock("message", [message]),
  );
}

const opening = "There is no message: the agent may speak first, if a rule calls for it.";
