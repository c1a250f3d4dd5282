import type { HandlerContext } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { tenantOf } from "@soldier/chassis/identity";
import { currentTraceId } from "@soldier/chassis/tracing";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import type {
  ProcessTurnRequest,
  ProcessTurnResponseSchema,
} from "@soldier/proto/alignment/v1/alignment_service";
import { budgetOf } from "../domain/budget.ts";
import type { Means } from "../pipeline/means.ts";
import { observed } from "../pipeline/observed.ts";
import type { alignmentPipeline } from "../pipeline/pipeline.ts";
import { TurnRecorder } from "../pipeline/turn-recorder.ts";
import type { Answer, Incoming, Outlet } from "../pipeline/turn.ts";
import { LeaseClaim, type RunningTurns } from "./lease-claim.ts";
import { sessionLedger } from "./session-ledger.ts";
import { turnEnded, turnSuperseded } from "./turn-metrics.ts";

type TurnEvent = MessageInitShape<typeof ProcessTurnResponseSchema>;

export interface TurnParts {
  readonly means: Means;
  readonly pipeline: ReturnType<typeof alignmentPipeline>;
  readonly log: Log;
  readonly running: RunningTurns;
}

/** Runs a turn and gives its events as they happen. A caller who leaves ends the turn. */
export async function* processTurn(
  parts: TurnParts,
  req: ProcessTurnRequest,
  ctx: HandlerContext,
): AsyncGenerator<TurnEvent> {
  const { means, pipeline, log } = parts;
  const events = new EventQueue();
  const leaving = new AbortController();
  const running = run();
  const close = () => events.close();
  running.then(close, close);
  let over = false;
  try {
    for (let event = await events.next(); event; event = await events.next()) yield event;
    await running;
    over = true;
  } finally {
    // Nobody is left to read it.
    if (!over) leaving.abort(new Fault("cancelled", "the caller has left"));
    await running.catch(() => {}); // told to the reader above, if there is one
  }

  async function run(): Promise<void> {
    const { session, clock } = means;
    const { leaseMs, supersedeCheckMs: checkMs } = means.limits;
    const recorder = new TurnRecorder(clock);
    const counts = budgetOf(means.budgets, tenantOf(ctx)) !== undefined;
    await using claim = new LeaseClaim({
      session,
      leaseMs,
      checkMs,
      running: parts.running,
      log,
      used: () => (counts ? recorder.usage : undefined),
    });
    const signal = AbortSignal.any([ctx.signal, leaving.signal, claim.signal]);
    const incoming = incomingOf(req, tenantOf(ctx));
    const { idempotencyKey } = incoming;
    const ledger = sessionLedger({ session, claim, idempotencyKey, log });
    const given = { incoming, outlet: events, claim, recorder, ledger };
    const ran = await pipeline.run(given, signal, observed(recorder)).catch((error: unknown) => {
      const explained = claim.explained(error); // the commit, too, may find that the lease is lost
      if (isSuperseded(explained)) turnSuperseded();
      leaving.abort(explained); // whatever was begun on the side is of no use any more
      throw explained;
    });
    if (ran.answered) replayed(ran.answered);
    else {
      const { degradations } = recorder;
      if (degradations.length > 0) log.warn({ degradations }, "answered without all that it needs");
      turnEnded(ran.turn.committed.turn, ran.turn.rung, recorder);
    }
  }

  function replayed(answer: Answer): void {
    const { id, number, sessionId, replyText } = answer.turn;
    events.started({ sessionId, turnId: id, turnNumber: number });
    if (replyText) events.delta(replyText);
    events.completed(answer);
  }
}

function isSuperseded(error: unknown): boolean {
  return error instanceof Fault && error.reason === "TURN_SUPERSEDED";
}

function incomingOf(req: ProcessTurnRequest, tenantId: string): Incoming {
  return {
    tenantId,
    agent: req.agent,
    sessionId: req.sessionId,
    customerId: req.customer?.customerId ?? "",
    externalId: req.customer?.externalId ?? "",
    channel: req.channel,
    text: req.text,
    opening: req.opening,
    idempotencyKey: req.idempotencyKey,
    metadata: req.metadata,
    traceId: currentTraceId() ?? "",
  };
}

/** Events between the turn that makes them and the stream that carries them off. */
class EventQueue implements Outlet {
  private readonly waiting: TurnEvent[] = [];
  private closed = false;
  private wake: () => void = () => {};

  started(turn: { sessionId: string; turnId: string; turnNumber: number }): void {
    this.put({ event: { case: "started", value: turn } });
  }

  delta(text: string): void {
    this.put({ event: { case: "delta", value: { text } } });
  }

  completed({ turn, replayed, position }: Answer): void {
    const value = { turn, replayed, ...(position && { position }) };
    this.put({ event: { case: "completed", value } });
  }

  /** The next one, when there is one; undefined when there will be none. */
  async next(): Promise<TurnEvent | undefined> {
    while (this.waiting.length === 0 && !this.closed)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    return this.waiting.shift();
  }

  close(): void {
    this.closed = true;
    this.wake();
  }

  private put(event: TurnEvent): void {
    this.waiting.push(event);
    this.wake();
  }
}
