import type { Client } from "@connectrpc/connect";
import { detached } from "@soldier/chassis/current";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import type { Lease } from "@soldier/proto/session/v1/session";
import type { SessionService } from "@soldier/proto/session/v1/session_service";
import type { SessionClaim } from "../pipeline/session-claim.ts";

export interface LeaseClaimOptions {
  readonly session: Client<typeof SessionService>;
  readonly leaseMs: number;
  /** How often a turn that may be superseded looks whether it was, elsewhere than in this process. */
  readonly checkMs: number;
  readonly running: RunningTurns;
  readonly log: Log;
  /** What the turn has used so far, for the tenant's day; undefined where nobody counts. */
  readonly used: () => Used | undefined;
}

export interface Used {
  readonly tokens: bigint;
  readonly costMicros: bigint;
}

/** The turns of this process that hold a lease, by session: whoever comes next tells the one before. */
export type RunningTurns = Map<string, LeaseClaim>;

/**
 * A turn's lease: renewed at half of its life for as long as the turn runs, and more often where a newer
 * message may take it. A turn that takes it in this process says so at once. Disposing of it gives the
 * lease back unless the turn was committed, so that the next message need not wait for its end, and has
 * counted what the turn has used for nothing.
 */
export class LeaseClaim implements SessionClaim, AsyncDisposable {
  private readonly options: LeaseClaimOptions;
  private readonly losing = new AbortController();
  private held: Lease | undefined;
  private timer: NodeJS.Timeout | undefined;
  private yielding = false;
  private over = false;
  private committed = false;

  constructor(options: LeaseClaimOptions) {
    this.options = options;
  }

  /** Aborts when another turn has taken the session: with TURN_SUPERSEDED if it may, else LEASE_LOST. */
  get signal(): AbortSignal {
    return this.losing.signal;
  }

  get lease(): Lease {
    if (!this.held) throw new Error("the turn holds no lease");
    return this.held;
  }

  hold(lease: Lease): void {
    this.held = lease;
    const { running } = this.options;
    const before = running.get(lease.sessionId);
    running.set(lease.sessionId, this);
    if (before !== this) before?.overtaken();
    this.schedule(Number(lease.remainingMs));
  }

  yields(): void {
    this.yielding = true;
    if (this.held) this.schedule(Number(this.held.remainingMs));
  }

  /** What ended the turn, as its caller should know it. */
  explained(error: unknown): unknown {
    return this.yielding && isLost(error) ? superseded(error) : error;
  }

  settled(): void {
    this.committed = true;
    this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.timer);
    this.forget();
    if (this.committed || !this.held) return;
    const used = this.options.used();
    const usage = used && (used.tokens > 0n || used.costMicros > 0n) ? used : undefined;
    // Who has been overtaken has no lease to give back.
    if (this.over && !usage) return;
    this.over = true;
    const lease = this.held;
    try {
      // The caller may have left: giving the lease back must not end with its call.
      await detached(() => this.options.session.abortTurn({ lease, ...(usage && { usage }) }));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.options.log.warn(
        { reason: error.reason },
        "a turn that came to nothing could not be told of: its lease runs out, its usage is not counted",
      );
    }
  }

  private schedule(remainingMs: number): void {
    if (this.over) return;
    const dueMs = Math.max(renewMinMs, remainingMs / 2);
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => void this.renew(),
      this.yielding ? Math.min(dueMs, this.options.checkMs) : dueMs,
    );
    this.timer.unref();
  }

  /** Another turn has taken the session: there is nothing left to give back. */
  private overtaken(): void {
    if (this.over) return;
    this.end();
    this.losing.abort(this.explained(leaseLost()));
  }

  private end(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.forget();
  }

  private forget(): void {
    const { running } = this.options;
    const id = this.held?.sessionId ?? "";
    if (running.get(id) === this) running.delete(id);
  }

  private async renew(): Promise<void> {
    const { session, leaseMs, log } = this.options;
    try {
      const { lease } = await session.renewLease({ lease: this.lease, leaseMs: BigInt(leaseMs) });
      if (this.over || !lease) return;
      this.hold(lease);
    } catch (error) {
      if (this.over) return;
      if (isLost(error)) this.losing.abort(this.explained(error));
      else {
        const reason = error instanceof Fault ? error.reason : String(error);
        log.warn({ reason }, "a lease could not be renewed; tried again");
        this.schedule(renewMinMs * 2);
      }
    }
  }
}

const renewMinMs = 250;

function isLost(error: unknown): boolean {
  return error instanceof Fault && error.reason === "LEASE_LOST";
}

function leaseLost(): Fault {
  return new Fault("conflict", "another turn has taken the session", { reason: "LEASE_LOST" });
}

function superseded(cause: unknown): Fault {
  return new Fault(
    "conflict",
    "a newer message of this session came before this one was answered, and is answered in its place",
    { reason: "TURN_SUPERSEDED", cause },
  );
}
