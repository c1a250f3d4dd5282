import { randomUUID } from "node:crypto";
import { Agent } from "node:http";
import { performance } from "node:perf_hooks";
import { send, type Target } from "@soldier/local/requests";

export interface Measured {
  readonly sessions: number;
  readonly turns: number;
  readonly seconds: number;
  /** Milliseconds from asking to the whole answer, one for each turn. */
  readonly latenciesMs: readonly number[];
}

interface Answer {
  readonly sessionId: string;
  readonly reply: string;
}

/**
 * So many conversations at once, each sending its next message when the last one is answered, until
 * the turns are used up. Throws at the first turn that is not answered.
 */
export async function converse(
  target: Target,
  sessions: number,
  turns: number,
  messages: readonly string[],
): Promise<Measured> {
  const http = new Agent({ keepAlive: true, maxSockets: sessions });
  const latenciesMs: number[] = [];
  let left = turns;
  const started = performance.now();
  // Each with a customer of its own, whose memory it alone makes.
  const conversation = async () => {
    const customer = randomUUID();
    let sessionId: string | undefined;
    while (left > 0) {
      left -= 1;
      const message = messages[latenciesMs.length % messages.length] ?? "hello";
      const before = performance.now();
      const answer = await post(http, target, {
        message,
        agent: target.agent,
        customer,
        sessionId,
      });
      latenciesMs.push(performance.now() - before);
      sessionId = answer.sessionId;
    }
  };
  try {
    await Promise.all(Array.from({ length: sessions }, conversation));
  } finally {
    http.destroy();
  }
  const seconds = (performance.now() - started) / 1_000;
  return { sessions, turns: latenciesMs.length, seconds, latenciesMs };
}

/** The value below which this share of the numbers is. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

async function post(agent: Agent, target: Target, body: object): Promise<Answer> {
  const { status, text } = await send(agent, target, "POST", "/v1/chat", body);
  if (status !== 200) throw new Error(`status ${status}: ${text}`);
  return JSON.parse(text) as Answer;
}
