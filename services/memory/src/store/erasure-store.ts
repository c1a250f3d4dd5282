import type { Counts, ErasureScope } from "../domain/erasure.ts";

/** What is needed of the scope after its rows are gone. */
export interface About {
  /** Every id of the customer; empty when it is about none as a whole. */
  readonly customerIds: readonly string[];
  /** Of an episode: where it was said; empty when nowhere. */
  readonly sessionId: string;
  readonly turnId: string;
  /** Of an episode: what it was, in that turn. */
  readonly role: string;
}

/** An erasure: what is to be done, how far it is, and when it is finished the certificate. */
export interface Erasure {
  readonly tenantId: string;
  readonly id: string;
  readonly scope: ErasureScope;
  readonly about: About;
  /** What was recorded later stays: it is new. */
  readonly until: Date;
  readonly askedBy: string;
  readonly askedAt: Date;
  /** Steps that are done for good. */
  readonly done: readonly string[];
  readonly counts: Counts;
  /** Erased texts that were searched for in vain. */
  readonly probes: number;
  readonly attempts: number;
  /** Reason of the last failure; empty when there was none. */
  readonly failed: string;
  readonly finishedAt: Date | undefined;
}

/** What was erased in one group. */
export interface GroupErased {
  readonly counts: Counts;
  /** A few of the texts, to search for afterwards. */
  readonly probes: readonly Probe[];
}

export interface Probe {
  readonly groupId: string;
  readonly episodeId: string;
  readonly text: string;
}

/** Takes data away at every recorded time. Each method may be cut short and called again. */
export interface ErasureStore {
  /** What the scope is about; undefined for an episode that is not there. */
  about(tenantId: string, scope: ErasureScope): Promise<About | undefined>;
  /**
   * From when this resolves nothing of the scope is stored any more, whoever has it in hand: tombstones
   * stand, without content. An erasure of this scope that is not finished is gone on with instead. Nobody
   * else gets it from due() for `holdMs`.
   */
  begin(
    tenantId: string,
    scope: ErasureScope,
    about: About,
    askedBy: string,
    holdMs: number,
  ): Promise<Erasure>;
  /** An erasure that is never stored: to count with. */
  trial(tenantId: string, scope: ErasureScope, about: About): Promise<Erasure>;
  /** Groups that hold something of it. */
  groups(erasure: Erasure): Promise<readonly string[]>;
  /**
   * In one transaction: takes the scope out of the group, with all that was derived from it alone; what
   * survives follows from what is left, at every recorded time. `keep` false undoes it and only counts.
   */
  eraseGroup(erasure: Erasure, groupId: string, keep: boolean): Promise<GroupErased>;
  /** What of a tenant is in no group. */
  eraseRest(erasure: Erasure, keep: boolean): Promise<Counts>;
  /** How many rows there are of what should be gone, or that rest on it: 0. */
  leftovers(erasure: Erasure): Promise<number>;
  /** Notes a step as done, with its counts, once. Resolves with the erasure as it stands then. */
  stepDone(erasure: Erasure, step: string, counts: Counts, probes: number): Promise<Erasure>;
  /** The certificate. */
  finish(erasure: Erasure): Promise<Erasure>;
  /** To be gone on with after the delay. */
  putOff(erasure: Erasure, reason: string, delayMs: number): Promise<void>;
  /** Unfinished erasures of any tenant that nobody works on, held for so long. */
  due(limit: number, holdMs: number): Promise<readonly Erasure[]>;
  /** Whether an erasure of these customers was asked for not long before then, or later. */
  covers(tenantId: string, customerIds: readonly string[], then: Date): Promise<boolean>;
  get(tenantId: string, id: string): Promise<Erasure | undefined>;
  /** The latest first, before the id given. */
  list(
    tenantId: string,
    limit: number,
    before: string | undefined,
  ): Promise<{ readonly items: readonly Erasure[]; readonly next: string | undefined }>;
}
