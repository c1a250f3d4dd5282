import type { Channel } from "@soldier/proto/common/v1/resource";
import type { Value } from "@bufbuild/protobuf/wkt";
import type { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import type { Session, SessionState, SessionStatus, Turn } from "@soldier/proto/session/v1/session";
import type { Event } from "@soldier/events/event";
import type { Listening } from "@soldier/storage/damaged-rows";

/** Who asks. A session of another tenant, or that this caller may not see, is absent. */
export interface Viewer {
  readonly tenantId: string;
  readonly subject: string;
  /** Sees what others have opened, too. */
  readonly seesAll: boolean;
}

export type StoredStatus =
  | typeof SessionStatus.ACTIVE
  | typeof SessionStatus.INTERRUPTED
  | typeof SessionStatus.CLOSED;

/** A session as stored: its status is ACTIVE, INTERRUPTED or CLOSED. */
export interface Stored {
  readonly session: Session;
  /** Whether a turn holds a lease that has not run out. */
  readonly leased: boolean;
}

export interface Opening {
  readonly kind: "new";
  readonly agentId: string;
  readonly customerId: string;
  readonly channel: Channel;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What its caller has kept of a session, and how to see whether it is still so. */
export interface Kept {
  readonly version: bigint;
  readonly updatedAt: Date;
  readonly state: SessionState;
  /** The latest turns, oldest first: as many as the history asked for has, or all there are. */
  readonly turns: readonly Turn[];
}

export interface Beginning {
  readonly target: Opening | { readonly kind: "existing"; readonly sessionId: string };
  readonly turnId: string;
  /** The client's key with the hash of what was asked; undefined: no key. */
  readonly key?: { readonly text: string; readonly requestHash: Uint8Array };
  readonly leaseMs: number;
  /** Takes the lease from a running turn. */
  readonly supersede: boolean;
  /** What was written; a turn that supersedes this one is told. */
  readonly text: string;
  readonly historyMax: number;
  /** Taken for the session's state and history, and not read again, if the session is still so. */
  readonly kept?: Kept;
  readonly now: Date;
}

export type SessionScope =
  /** What one side said in a turn, which stays without it. */
  | { readonly kind: "text"; readonly turnId: string; readonly reply: boolean }
  | { readonly kind: "session"; readonly sessionId: string }
  | { readonly kind: "customer"; readonly customerId: string }
  | { readonly kind: "tenant" };

export interface SessionErasure {
  readonly scope: SessionScope;
  /** What was opened, or happened, later stays; undefined: nothing does. */
  readonly until: Date | undefined;
  /** Only counts. */
  readonly dryRun: boolean;
}

export interface SessionErased {
  readonly counts: Readonly<Record<string, number>>;
  /** Events that are not published yet, and stay until they are. */
  readonly pending: number;
  /** Sessions that are not what they were. */
  readonly sessionIds: readonly string[];
}

/** The right to write. Only its token counts at the commit, not its end: an end lets others take it. */
export interface HeldLease {
  readonly sessionId: string;
  readonly turnId: string;
  readonly token: bigint;
}

export interface GivenLease extends HeldLease {
  readonly expiresAt: Date;
  readonly remainingMs: number;
}

export type Begun =
  | {
      readonly kind: "begun";
      readonly stored: Stored;
      readonly lease: GivenLease;
      /** The latest turns, oldest first. */
      readonly history: readonly Turn[];
      /** What was written in the turns that it takes the place of, oldest first; the last ten. */
      readonly superseded: readonly string[];
    }
  | { readonly kind: "answered"; readonly stored: Stored; readonly turn: Turn }
  | {
      readonly kind: "in-progress" | "busy";
      readonly stored: Stored;
      readonly remainingMs: number;
    }
  | { readonly kind: "absent" | "closed" | "key-reused" | "turn-id-reused" };

export interface Commit {
  readonly lease: HeldLease;
  readonly expectedVersion: bigint;
  readonly state: SessionState;
  readonly status: StoredStatus;
  /** Complete: its number is the one that the turn was begun with. */
  readonly turn: Turn;
  /** turn.committed, whose payload lacks what is the same for all turns of the session. */
  readonly event: Event;
  /** What else becomes known when the turn closes the session. */
  readonly closing: (session: Session) => readonly Event[];
  /** What the turn adds to its tenant's day; undefined where nobody counts. */
  readonly usage: UsedToday | undefined;
  readonly now: Date;
}

/** What a tenant's model calls took. */
export interface UsedToday {
  readonly tokens: bigint;
  readonly costMicros: bigint;
}

export type Committed =
  | {
      readonly kind: "committed";
      readonly version: bigint;
      readonly turn: Turn;
      /** When the session was updated before this call has written it; undefined when it hasn't. */
      readonly updatedBefore?: Date;
    }
  | { readonly kind: "absent" | "lease-lost" | "turn-id-reused" }
  | { readonly kind: "version-conflict"; readonly version: bigint }
  | { readonly kind: "wrong-number"; readonly expected: number };

export interface ToolCallBeginning {
  readonly lease: HeldLease;
  /** "{turn_id}:{tool_id}:{n}" of the turn that holds the lease. */
  readonly key: string;
  readonly toolId: string;
  /** SHA-256. */
  readonly argumentsHash: Uint8Array;
  /** The client's key of the turn; undefined when it has none. */
  readonly clientKey: string | undefined;
}

export type ToolCallBegun =
  | { readonly kind: "run"; readonly key: string }
  | {
      readonly kind: "done";
      readonly key: string;
      readonly outcome: ToolCallOutcome;
      readonly result: Value | undefined;
      readonly reason: string;
    }
  /** Begun under this key, and nobody knows how it ended. */
  | { readonly kind: "unknown"; readonly key: string }
  | { readonly kind: "lease-lost" | "key-reused" };

export interface ToolCallEnd {
  readonly lease: HeldLease;
  readonly key: string;
  readonly outcome: ToolCallOutcome;
  readonly result: Value | undefined;
  readonly reason: string;
}

export type ToolCallEnded = "ended" | "lease-lost" | "absent";

/** What a move makes of a session. */
export interface Change {
  /** The whole session after it, with the next version. */
  readonly session: Session;
  /** Takes the lease from a running turn, so that it cannot be committed. */
  readonly endsTurn: boolean;
  readonly events: readonly Event[];
}

export interface SessionFilter {
  readonly agentId: string;
  readonly customerId: string;
  /** UNSPECIFIED: any. */
  readonly status: SessionStatus;
  /** A session without activity since then is IDLE. */
  readonly idleBefore: Date;
}

export interface Slice {
  readonly rowsMax: number;
}

/**
 * Sessions and their turns. A session has one writer at a time: the turn that holds its lease.
 * Whether a lease has run out is said by the database's clock alone.
 */
export interface SessionStore {
  /**
   * Gives the turn the lease of its session, or says why not; opens the session when asked to.
   * The same turn again gets the same lease, for longer; the same key again means the same turn:
   * the committed one, the running one, or, when that one was given up, another attempt at it in
   * the same session. Of many at once for one session, one begins.
   */
  begin(viewer: Viewer, beginning: Beginning): Promise<Begun>;
  /** Makes the lease last so long from now, or gives undefined when another turn has taken it. */
  renew(tenantId: string, lease: HeldLease, leaseMs: number): Promise<GivenLease | undefined>;
  /**
   * Writes state, turn, events and usage and gives the lease back, all or nothing, if the lease is
   * still held and the version is the one expected. Repeated, it gives the turn as first stored. The
   * turn's tool calls are forgotten, and with them those of lost turns that have no client's key. Throws
   * the Fault "invalid" for a state that is too large.
   */
  commit(tenantId: string, commit: Commit): Promise<Committed>;
  /**
   * Gives the lease back if it is still held, and counts what the turn has used: once for each time that
   * it had the lease, also when another has it by now. What a commit has counted is not counted again.
   */
  abort(tenantId: string, lease: HeldLease, usage?: UsedToday): Promise<void>;
  /**
   * Notes that a tool is about to have its effect, if the lease is still held, and lets it run; or says
   * what is known of the same call. The same key is the same call, sent again. Another key is the same
   * call when tool and arguments are the same, it did not fail, and it is of this turn, of one that
   * was lost since the session's last commit, or of one with the same client's key. Of many at once
   * for the same call one may run.
   */
  beginToolCall(viewer: Viewer, call: ToolCallBeginning): Promise<ToolCallBegun>;
  /**
   * Notes how a call ended, once. What a turn has begun it also ends after it has lost the lease, so
   * that others learn of it, and is told "lease-lost" all the same.
   */
  endToolCall(tenantId: string, end: ToolCallEnd): Promise<ToolCallEnded>;
  /** What commits and aborts have added to the tenant's day: in UTC, by the database's clock. */
  usageToday(tenantId: string): Promise<UsedToday>;
  get(viewer: Viewer, sessionId: string): Promise<Stored | undefined>;
  /** The latest opened first, before the given id. */
  list(
    viewer: Viewer,
    filter: SessionFilter,
    slice: Slice & Listening<string> & { readonly before?: string | undefined },
  ): Promise<readonly Stored[]>;
  /** The latest first, before the given number. Undefined without such a session. */
  turns(
    viewer: Viewer,
    sessionId: string,
    slice: Slice & Listening<number> & { readonly before?: number | undefined },
  ): Promise<readonly Turn[] | undefined>;
  /** Removes what was said for good, with its events that are still kept, in one transaction. */
  erase(tenantId: string, erasure: SessionErasure): Promise<SessionErased>;
  /**
   * Makes a move while nobody else writes the session: what the move returns is written with its
   * events, all or nothing; undefined or a throw changes nothing. Deleted sessions are moved, too:
   * their deleted_at is set. Resolves to the session after the move, or undefined when absent.
   */
  change(
    viewer: Viewer,
    sessionId: string,
    move: (session: Session) => Change | undefined,
  ): Promise<Stored | undefined>;
}
