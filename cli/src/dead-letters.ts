import type { DeadLetterStream } from "@soldier/events/dead-letter-stream";
import type { KeptLetter } from "@soldier/events/jetstream-message";
import { Fault } from "@soldier/kernel/fault";

/** A line for each, the oldest first. Payloads are customers' text and are not shown. */
export async function listedLetters(
  letters: DeadLetterStream,
  filter: { readonly consumer?: string; readonly lettersMax: number },
): Promise<string> {
  const found = await letters.list(filter);
  if (found.length === 0) return "no dead letters";
  return found.map((letter) => line(letter)).join("\n");
}

function line({ number, consumer, subject, attempts, reason, occurredAt }: KeptLetter): string {
  return [number, occurredAt, consumer, subject, `${attempts} attempts`, reason].join("  ");
}

/** All that is known of one; its payload only as its size, or in base64 when asked for. */
export async function shownLetter(
  letters: DeadLetterStream,
  number: number,
  withPayload: boolean,
): Promise<string> {
  const letter = await letters.get(number);
  if (!letter)
    throw new Fault("not-found", `there is no dead letter ${number}`, {
      reason: "DEAD_LETTER_NOT_FOUND",
    });
  const facts: readonly [string, string][] = [
    ["number", String(letter.number)],
    ["event", letter.eventId],
    ["subject", letter.subject],
    ["occurred at", letter.occurredAt],
    ["consumer", letter.consumer],
    ["attempts", String(letter.attempts)],
    ["reason", letter.reason],
    [
      "payload",
      withPayload
        ? Buffer.from(letter.payload).toString("base64")
        : `${letter.payload.length} bytes`,
    ],
  ];
  return facts.map(([name, value]) => `${name.padEnd(12)} ${value}`).join("\n");
}

/** One after the other; what was done before one fails stays done. */
export async function eachLetter(
  numbers: readonly number[],
  done: string,
  act: (number: number) => Promise<void>,
): Promise<string> {
  const lines: string[] = [];
  for (const number of numbers) {
    await act(number);
    lines.push(`${done} ${number}`);
  }
  return lines.join("\n");
}
