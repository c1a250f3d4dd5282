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
  readonly log: Log;
}

/**
 * A turn's lease: renewed at half of its life for as long as the turn runs. Disposing of it gives the
 * lease back unless the turn was committed, so that the next message need not wait for its end.
 */
export class LeaseClaim implements SessionClaim, AsyncDisposable {
  private readonly options: LeaseClaimOptions;
  private readonly losing = new AbortController();
  private held: Lease | undefined;
  private timer: NodeJS.Timeout | undefined;
  private yielding = false;
  private over = false;

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
    this.schedule(Number(lease.remainingMs));
  }

  yields(): void {
    this.yielding = true;
  }

  /** What ended the turn, as its caller should know it. */
  explained(error: unknown): unknown {
    return this.yielding && isLost(error) ? superseded(error) : error;
  }

  settled(): void {
    this.over = true;
    clearTimeout(this.timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.timer);
    if (this.over || !this.held) return;
    this.over = true;
    const lease = this.held;
    try {
      // The caller may have left: giving the lease back must not end with its call.
      await detached(() => this.options.session.abortTurn({ lease }));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.options.log.warn(
        { reason: error.reason },
        "a lease could not be given back; it runs out",
      );
    }
  }

  private schedule(remainingMs: number): void {
    if (this.over) return;
    this.timer = setTimeout(() => void this.renew(), Math.max(renewMinMs, remainingMs / 2));
    this.timer.unref();
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

function superseded(cause: unknown): Fault {
  return new Fault(
    "conflict",
    "a newer message of this session came before this one was answered, and is answered in its place",
    { reason: "TURN_SUPERSEDED", cause },
  );
}
