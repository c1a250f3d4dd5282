import type { Lease } from "@soldier/proto/session/v1/session";

/** The right to write one session, kept while its turn runs and given back when it fails. */
export interface SessionClaim {
  /** From now on the lease is renewed; a lease that is lost aborts the turn's signal. */
  hold(lease: Lease): void;
  /** A newer message may take the session: a turn that loses it then ends with TURN_SUPERSEDED. */
  yields(): void;
  /** The lease as it was last renewed. */
  readonly lease: Lease;
  /** The turn is real: the lease has been used up. */
  settled(): void;
}
