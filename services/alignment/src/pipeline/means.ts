import type { Client } from "@connectrpc/connect";
import type { Embedder } from "@soldier/ai/embedder";
import type { Models } from "@soldier/ai/models";
import type { Reranker } from "@soldier/ai/reranker";
import type { Clock } from "@soldier/kernel/clock";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import type { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import type { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import type { SessionService } from "@soldier/proto/session/v1/session_service";
import type { BudgetSettings } from "../domain/budget.ts";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import type { ToolTransport } from "./tool-transport.ts";

/** What turns are made with. */
export interface Means {
  readonly bundles: Bundles;
  readonly session: Client<typeof SessionService>;
  readonly profile: Client<typeof ProfileService>;
  readonly memory: Client<typeof MemoryService>;
  readonly embedder: Embedder;
  /** By step of the turn; none for any is keyless: scores decide and templates speak. */
  readonly models: Models;
  readonly reranker: Reranker;
  readonly tools: ToolMeans;
  readonly clock: Clock;
  readonly limits: TurnLimits;
  readonly budgets: BudgetSettings;
}

/** Published behaviour, ready to use. */
export interface Bundles {
  /** The version that is live, by the agent's id or slug. Throws AGENT_NOT_FOUND, AGENT_NOT_PUBLISHED. */
  current(tenantId: string, agent: string): Promise<CompiledBundle>;
  /** A version as it was published, live or not; not held. Throws VERSION_NOT_FOUND, too. */
  version(tenantId: string, agent: string, version: bigint): Promise<CompiledBundle>;
  /** A version as config keeps it, not compiled. Throws VERSION_NOT_FOUND, too. */
  source(agent: string, version: bigint): Promise<Bundle>;
  /** The draft, or a document that is stored nowhere; refused as saving it would be. Not held. */
  trial(agent: string, document: AgentDocument | undefined): Promise<CompiledBundle>;
}

export interface ToolMeans {
  readonly transport: ToolTransport;
  readonly timeoutMs: number;
}

export interface TurnLimits {
  readonly leaseMs: number;
  readonly supersedeCheckMs: number;
  readonly turnTimeoutMs: number;
  readonly messageSizeMaxBytes: number;
  readonly historyTurnsMax: number;
}
