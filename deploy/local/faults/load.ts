import { randomBytes, randomUUID } from "node:crypto";
import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { send } from "../requests.ts";
import { agentSlug } from "./desk.ts";

/** One message that a client wanted answered. */
export interface Asked {
  readonly key: string;
  readonly tenant: string;
  readonly ref: string | undefined;
  /** When it was due, by performance.now(). */
  readonly dueMs: number;
  /** When the whole answer was there. */
  answeredMs: number | undefined;
  answer: Answer | undefined;
  attempts: number;
  /** Refusals with a code on the way, "status REASON". */
  readonly refusals: string[];
  /** Attempts without any answer: connection lost, time-out. */
  silences: number;
}

export interface Answer {
  readonly sessionId: string;
  readonly turnId: string;
  readonly turnNumber: number;
  readonly reply: string;
}

interface Attempt {
  readonly answer: Answer | undefined;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number;
}

export interface Load {
  readonly asked: readonly Asked[];
  /** 95% of the answers that came in the last `windowMs` took no longer; Infinity when none came. */
  p95(windowMs: number): number;
  /** For how long the oldest message has been waiting for its answer. */
  oldestOpenMs(): number;
  /** Stops asking and waits for those that are still wanted. */
  finish(): Promise<void>;
}

export interface LoadOptions {
  readonly url: string;
  readonly tenants: readonly { readonly name: string; readonly token: string }[];
  readonly sessions: number;
  readonly turnsPerSecond: number;
}

/** A client gives up after so long; it never should have to. */
const patienceMs = 90_000;
const attemptTimeoutMs = 10_000;

/**
 * Customers who write at a fixed rate whatever the answers take, each sending a message again with
 * its key until it is answered, as a client should.
 */
export function startLoad({ url, tenants, sessions, turnsPerSecond }: LoadOptions): Load {
  const asked: Asked[] = [];
  /** Without an answer yet. */
  const open = new Set<Asked>();
  const running = new Set<Promise<void>>();
  const idle = Array.from({ length: sessions }, (_, i) => ({
    tenant: tenants[i % tenants.length],
    customer: randomUUID(),
    sessionId: "",
  }));
  const http = new Agent({ keepAlive: true });
  let stopped = false;

  async function converse(seat: (typeof idle)[number], dueMs: number): Promise<void> {
    const ref = Math.random() < 0.3 ? `T-${randomBytes(4).toString("hex")}` : undefined;
    const one: Asked = {
      key: randomUUID(),
      tenant: seat.tenant?.name ?? "",
      ref,
      dueMs,
      answeredMs: undefined,
      answer: undefined,
      attempts: 0,
      refusals: [],
      silences: 0,
    };
    asked.push(one);
    open.add(one);
    const body = {
      ...(seat.sessionId ? { sessionId: seat.sessionId } : { agent: agentSlug }),
      customer: seat.customer,
      message: ref ? `please open a ticket about ${ref}` : "hello there",
    };
    while (performance.now() - dueMs < patienceMs) {
      one.attempts += 1;
      const { answer, retryAfterMs } = await attempt(one, body, seat.tenant?.token ?? "");
      if (answer) {
        one.answeredMs = performance.now();
        one.answer = answer;
        seat.sessionId = answer.sessionId;
        break;
      }
      const backoffMs = Math.min(1_000, 50 * 2 ** one.attempts) * (0.5 + Math.random() / 2);
      await pause(Math.max(backoffMs, retryAfterMs));
    }
    open.delete(one);
    idle.push(seat);
  }

  async function attempt(one: Asked, body: object, token: string): Promise<Attempt> {
    try {
      const { status, headers, text } = await send(http, { url, token }, "POST", "/v1/chat", body, {
        headers: { "idempotency-key": one.key },
        timeoutMs: attemptTimeoutMs,
      });
      const said = JSON.parse(text) as Answer & { error?: { reason?: string } }; // our own API
      if (status === 200) return { answer: said, retryAfterMs: 0 };
      one.refusals.push(`${status} ${said.error?.reason ?? "?"}`);
      return { answer: undefined, retryAfterMs: Number(headers["retry-after"] ?? 0) * 1_000 };
    } catch {
      one.silences += 1; // the gateway is away, or silent for too long
      return { answer: undefined, retryAfterMs: 0 };
    }
  }

  async function ask(): Promise<void> {
    const started = performance.now();
    for (let n = 0; !stopped; n++) {
      const dueMs = started + (n * 1_000) / turnsPerSecond;
      const wait = dueMs - performance.now();
      if (wait > 0) await pause(wait);
      // All are waiting for answers: a customer has no second message then.
      const [seat] = idle.splice(Math.floor(Math.random() * idle.length), 1);
      if (!seat) continue;
      const work = converse(seat, dueMs);
      running.add(work);
      void work.finally(() => running.delete(work));
    }
  }

  const asking = ask();
  return {
    asked,
    p95(windowMs) {
      const now = performance.now();
      const took = asked.flatMap(({ answeredMs = 0, dueMs }) =>
        answeredMs > now - windowMs ? [answeredMs - dueMs] : [],
      );
      const sorted = took.toSorted((a, b) => a - b);
      return sorted[Math.floor(sorted.length * 0.95)] ?? Infinity;
    },
    oldestOpenMs() {
      const now = performance.now();
      return Math.max(0, ...[...open].map(({ dueMs }) => now - dueMs));
    },
    async finish() {
      stopped = true;
      await asking;
      await Promise.all(running);
      http.destroy();
    },
  };
}
