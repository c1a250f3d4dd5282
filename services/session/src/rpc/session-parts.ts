import type { HandlerContext } from "@connectrpc/connect";
import { identityOf } from "@soldier/chassis/identity";
import type { Clock } from "@soldier/kernel/clock";
import type { Session } from "@soldier/proto/session/v1/session";
import { statusSeen } from "../domain/session.ts";
import type { SessionStore, Stored, Viewer } from "../store/session-store.ts";

/** What the handlers work with. */
export interface SessionParts {
  readonly store: SessionStore;
  readonly clock: Clock;
  /** How long a lease lasts when the caller doesn't say. */
  readonly leaseMs: number;
  /** Without a turn for so long a session is IDLE. */
  readonly idleAfterMs: number;
  /** Called after a commit that has left events for others. */
  readonly committed: () => void;
}

/** Who asks: operators see every session of the tenant, others their own. */
export function viewerOf(ctx: Pick<HandlerContext, "values">): Viewer {
  const { tenantId, subject, roles } = identityOf(ctx);
  return { tenantId, subject, seesAll: roles.includes("operator") };
}

/** The session as callers see it. */
export function shown({ clock, idleAfterMs }: SessionParts, { session, leased }: Stored): Session {
  return { ...session, status: statusSeen(session, leased, clock.now(), idleAfterMs) };
}
