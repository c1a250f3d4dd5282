import type { Event } from "@soldier/events/event";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { AgentVersion } from "@soldier/proto/config/v1/bundle";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import type { VariableValue } from "@soldier/proto/config/v1/template";
import type { Listening } from "@soldier/storage/damaged-rows";
import type { Placed } from "../domain/difference.ts";
import type { Collection, Resource } from "../domain/kinds.ts";
import type { Page } from "../domain/page.ts";

/** Of a row, for the page after it. */
type Keys = readonly string[];

/** A draft as it is stored: all of one moment. */
export interface StoredDraft {
  /** With its agent; references are ids. */
  readonly document: AgentDocument & { readonly agent: Agent };
  /** Changes with every write to the agent or anything in its draft. */
  readonly etag: string;
}

/** What an edit writes, in one transaction. */
export interface Edit<T> {
  /** The agent itself, when it is new or differs; with meta.deleted_at it goes, and all of its draft. */
  readonly agent?: Agent;
  readonly written: readonly Placed[];
  readonly removed: readonly Placed[];
  readonly events: readonly Event[];
  /** When it happens. */
  readonly at: Date;
  /** What the caller of the edit gets. */
  readonly result: T;
}

/** How a value is set. */
export interface SettingOfValue {
  /** When it happens. */
  readonly at: Date;
  /** What all values of its owner may have together. */
  readonly ownerMaxBytes: number;
  readonly events: readonly Event[];
}

/** A version about to be stored. */
export interface Publication {
  /** Its version is one more than the live one's. */
  readonly version: AgentVersion;
  readonly embeddingModel: string;
  /** Of the draft that was compiled. */
  readonly draftEtag: string;
  /** A Bundle in protobuf's binary form. */
  readonly bundle: Uint8Array;
  readonly events: readonly Event[];
}

/** The version that turns run on. */
export interface LiveVersion {
  readonly version: bigint;
  readonly contentHash: string;
  readonly embeddingModel: string;
  readonly draftEtag: string;
  readonly rollbackOf: bigint;
}

/** Whose variable values: all of one agent's, with the tenant's own. */
export interface ValueFilter {
  /** Only this variable; empty is all. */
  readonly variable: string;
}

/** Behaviour of every tenant. A tenant never sees another's; what is deleted is not found. */
export interface ConfigStore {
  /** Undefined when there is none with this id or slug. */
  agent(tenantId: string, idOrSlug: string): Promise<Agent | undefined>;
  /** In the order of their slugs, which are also the page's keys. */
  agents(tenantId: string, page: Page & Listening<Keys>): Promise<readonly Agent[]>;
  resource(
    tenantId: string,
    agentId: string,
    collection: Collection,
    idOrName: string,
  ): Promise<Resource | undefined>;
  /** In the order of their names, which are also the page's keys. */
  resources(
    tenantId: string,
    agentId: string,
    collection: Collection,
    page: Page & Listening<Keys>,
  ): Promise<readonly Resource[]>;
  draft(tenantId: string, idOrSlug: string): Promise<StoredDraft | undefined>;

  /**
   * Shows the draft to `change` and writes what it answers, with no other edit of the agent in
   * between. Without such an agent `change` is shown undefined; its answer's agent is then made.
   * `etag` is what everything written now gets, and the draft too. When `change` throws, or two
   * agents would have one slug (Fault "already-exists", NAME_TAKEN), nothing is written. An answer
   * with nothing to write leaves the etag as it was. `change` may be asked more than once.
   */
  edit<T>(
    tenantId: string,
    idOrSlug: string,
    change: (current: StoredDraft | undefined, etag: string) => Edit<T>,
  ): Promise<T>;

  /**
   * Stores a version and points to it, with its events, in one transaction. `decide` sees the live
   * version with no other publish of the agent in between; without a publication nothing is written.
   * Undefined when there is no such agent.
   */
  publish<T>(
    tenantId: string,
    agentId: string,
    decide: (live: LiveVersion | undefined) => { publication?: Publication; result: T },
  ): Promise<T | undefined>;
  /** Newest first; the page's keys are version numbers. */
  versions(tenantId: string, agentId: string, page: Page): Promise<readonly AgentVersion[]>;
  /** A Bundle in protobuf's binary form. */
  bundle(tenantId: string, agentId: string, version: bigint): Promise<Uint8Array | undefined>;
  /** So many of its bytes, fewer at its end, and how many it has; reads no more than it gives. */
  bundlePiece(
    tenantId: string,
    agentId: string,
    version: bigint,
    range: { readonly from: number; readonly bytes: number },
  ): Promise<{ readonly piece: Uint8Array; readonly sizeBytes: number } | undefined>;

  /** Vectors by the hexadecimal SHA-256 of their texts, as far as they are known. */
  vectors(
    tenantId: string,
    model: string,
    hashes: readonly string[],
  ): Promise<ReadonlyMap<string, Uint8Array>>;
  keepVectors(
    tenantId: string,
    model: string,
    vectors: ReadonlyMap<string, Uint8Array>,
  ): Promise<void>;

  /**
   * Sets the value, or removes it when the message has none, together with the events. Returns false,
   * and writes nothing, when the values of its owner, which is the agent or for global ones the
   * tenant, would then have more than `ownerMaxBytes`. What has expired does not count.
   */
  setValue(
    tenantId: string,
    agentId: string,
    value: VariableValue,
    given: SettingOfValue,
  ): Promise<boolean>;
  /** Of the agent and of the tenant; in the order of variable, level, key: the page's keys. */
  values(
    tenantId: string,
    agentId: string,
    filter: ValueFilter,
    page: Page & Listening<Keys>,
  ): Promise<readonly VariableValue[]>;
  /** What turns use: values for the tenant, the agent, its groups and customers that hold at that time. */
  valuesInForce(tenantId: string, agentId: string, at: Date): Promise<readonly VariableValue[]>;
}
