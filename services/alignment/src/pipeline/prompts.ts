import { readFileSync } from "node:fs";
import type { Turn as SessionTurn } from "@soldier/proto/session/v1/session";

/** The prompt beside a step, read once. */
export function instructions(stepUrl: string, file: string): string {
  return readFileSync(new URL(file, stepUrl), "utf8").trim();
}

const turnsShown = 6;

/** The latest of a conversation and the message, as one text for a model that judges it. */
export function conversation(history: readonly SessionTurn[], message: string): string {
  const before = history
    .slice(-turnsShown)
    .flatMap(({ userText, replyText }) => [
      `Customer: ${userText}`,
      ...(replyText ? [`Agent: ${replyText}`] : []),
    ]);
  return `${before.length > 0 ? `<conversation>\n${before.join("\n")}\n</conversation>\n\n` : ""}<message>\n${message}\n</message>`;
}
