import type { Event } from "@soldier/events/event";
import type { Begun, Committed, SessionStore, Viewer } from "../session-store.ts";
import { beginning, commitOf, inSession } from "./fixtures.ts";

/** A store under test, with the hands that a test needs to play time and to look behind it. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: SessionStore;
  /** Lets the lease of the session run out. */
  runOut(tenantId: string, sessionId: string): Promise<void>;
  /** Takes states and turns of the tenant's sessions out of the database, behind everybody's back. */
  emptied(tenantId: string): Promise<void>;
  /** Moves what the tenant has used so many days into the past. */
  usedBefore(tenantId: string, days: number): Promise<void>;
  /** How many days ago each day lies that is counted for the tenant, the longest ago first. */
  daysCounted(tenantId: string): Promise<readonly number[]>;
  /** Marks the tenant's events as published. */
  published(tenantId: string): Promise<void>;
  /** The events told so far for the tenant, oldest first. */
  told(tenantId: string): Promise<readonly Pick<Event, "topic" | "payload">[]>;
}

/** Opens a session and begins its first turn. */
export async function opened(
  store: SessionStore,
  viewer: Viewer,
  over: Parameters<typeof beginning>[0] = {},
) {
  return began(await store.begin(viewer, beginning(over)));
}

/** One more turn of the session, from begin to commit. */
export async function turnOf(store: SessionStore, viewer: Viewer, sessionId: string) {
  const { stored, lease } = began(await store.begin(viewer, inSession(sessionId)));
  return committed(await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease)));
}

export function began(result: Begun): Extract<Begun, { kind: "begun" }> {
  if (result.kind !== "begun") throw new Error(`not begun but ${result.kind}`);
  return result;
}

export function committed(result: Committed): Extract<Committed, { kind: "committed" }> {
  if (result.kind !== "committed") throw new Error(`not committed but ${result.kind}`);
  return result;
}
