import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Embedder } from "@soldier/ai/embedder";
import type { Identity } from "@soldier/chassis/identity";
import { audited } from "@soldier/events/audited";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import type { Agent } from "@soldier/proto/config/v1/agent";
import {
  AgentVersionSchema,
  type Bundle,
  BundleSchema,
  type PublishStage,
} from "@soldier/proto/config/v1/bundle";
import { messageToKeep, storedMessage } from "@soldier/storage/stored-message";
import { LRUCache } from "lru-cache";
import { bundleOf, compiled, type Compiled, draftOf } from "../domain/bundle.ts";
import { textsOf } from "../domain/matched-texts.ts";
import { refusal } from "../domain/problem.ts";
import { agentNotFound, versionNotFound } from "../domain/refusals.ts";
import { errorsOf, settle } from "../domain/settle.ts";
import { configPublished } from "../events.ts";
import type { ConfigStore, LiveVersion } from "../store/config-store.ts";
import { type EmbedParts, embedTexts } from "./embed-texts.ts";
import { pieceBytes, type SerialisedBundle } from "./serialised-bundle.ts";
import { type Stages, stages } from "./stages.ts";

export interface Published {
  /** The version that is live now. */
  readonly version: bigint;
  readonly contentHash: string;
  readonly stages: PublishStage[];
}

/** Makes versions and reads them. */
export interface Publisher {
  /**
   * Makes the draft live. When it is live already, or a later state of it, nothing is written.
   * Faults name the stage that failed; the live version is then what it was.
   */
  publish(
    identity: Identity,
    agentId: string,
    comment: string,
    signal: AbortSignal,
  ): Promise<Published>;
  /** Makes an old version live again, as a new version. The draft stays as it is. */
  rollback(
    identity: Identity,
    agent: Agent,
    version: bigint,
    comment: string,
    signal: AbortSignal,
  ): Promise<Published>;
  /** A version's bundle. It is shared: not to be changed. */
  version(identity: Identity, agent: Agent, version: bigint): Promise<Bundle>;
  /** The same as it is stored. Its first piece is read at once, the others as they are wanted. */
  serialised(identity: Identity, agent: Agent, version: bigint): Promise<SerialisedBundle>;
  /** The bundle that a draft would make, as of version 0. Nothing is stored, not even vectors. */
  trial(identity: Identity, draft: Compiled["draft"], signal: AbortSignal): Promise<Bundle>;
}

export interface PublisherParts {
  readonly store: ConfigStore;
  readonly embedder: Embedder;
  readonly clock: Clock;
  readonly committed: () => void;
  /** Bundles that are kept in memory, together. */
  readonly cacheMaxBytes: number;
  /** How long one publish embeds. */
  readonly sliceMs: number;
  /** Larger ones are not published. */
  readonly bundleMaxBytes: number;
}

/** A version that is ready to be stored, whatever its number will be. */
interface Candidate {
  readonly compiled: Compiled;
  /** Of the draft that it was compiled from; the rolled-back version's own for a rollback. */
  readonly draftEtag: string;
  readonly rollbackOf: bigint;
}

export function publisher(parts: PublisherParts): Publisher {
  const { store, embedder, clock, committed } = parts;
  const bundles = new LRUCache<string, Bundle>({
    maxSize: parts.cacheMaxBytes,
    // Vectors and texts are nearly all of a bundle.
    sizeCalculation: ({ embeddings }) => 10_000 + 2 * (embeddings?.vectors.byteLength ?? 0),
  });

  /** Compiles without holding anything up: texts may take minutes to embed. */
  async function compile(
    { tenantId }: Identity,
    draft: Compiled["draft"],
    signal: AbortSignal,
    by: EmbedParts = parts,
  ): Promise<Compiled> {
    const embeddings = await embedTexts(by, tenantId, textsOf(draft), signal);
    return compiled(draft, embeddings);
  }

  const forgetful: EmbedParts = {
    embedder,
    clock,
    sliceMs: Number.POSITIVE_INFINITY, // nothing is kept that another call could go on from
    store: {
      vectors: (...asked) => store.vectors(...asked),
      keepVectors: async () => {},
    },
  };

  async function makeLive(
    identity: Identity,
    agent: Agent,
    candidate: Candidate,
    comment: string,
    run: Stages,
  ): Promise<Published> {
    const { tenantId, subject } = identity;
    const { contentHash, draft } = candidate.compiled;
    const at = clock.now();
    const live = await run.run("write", () =>
      store.publish(tenantId, agent.id, (now) => {
        if (now && isCovered(candidate, now, embedder.model))
          return { result: { version: now.version, contentHash: now.contentHash } };
        const version = (now?.version ?? 0n) + 1n;
        const bundle = messageToKeep(
          BundleSchema,
          bundleOf(candidate.compiled, { tenantId, version, at }),
        );
        requireFits(bundle, parts.bundleMaxBytes);
        const { rollbackOf, draftEtag } = candidate;
        const act = {
          action: rollbackOf ? "agent.rolled_back" : "agent.published",
          resourceKind: "agent",
          resourceId: agent.id,
          details: {
            slug: agent.slug,
            version: Number(version),
            content_hash: contentHash,
            ...(rollbackOf && { rollback_of: Number(rollbackOf) }),
          },
        };
        const publication = {
          version: create(AgentVersionSchema, {
            version,
            contentHash,
            publishedBy: subject,
            publishedAt: timestampFromDate(at),
            comment,
            rollbackOf,
          }),
          embeddingModel: embedder.model,
          draftEtag,
          bundle,
          events: [
            configPublished(identity, agent, version, at, {
              definitions: draft.fieldDefinitions,
              memoryKeepDays: draft.agent?.settings?.memoryKeepDays ?? 0,
            }),
            audited(identity, act, at),
          ],
        };
        return { publication, result: { version, contentHash } };
      }),
    );
    if (!live) throw agentNotFound(agent.slug);
    // The pointer was swapped in the transaction that wrote the version: there is no state between.
    await run.run("swap", () => {});
    await run.run("invalidate", committed);
    return { ...live, stages: run.done };
  }

  const self: Publisher = {
    async publish(identity, agentId, comment, signal) {
      const run = stages(clock);
      const { document, etag } = await run.run("validate", async () => {
        const found = await store.draft(identity.tenantId, agentId);
        if (!found) throw agentNotFound(agentId);
        const errors = errorsOf(settle(found.document, found.document).problems);
        if (errors.length > 0) throw refusal(errors);
        return found;
      });
      const made = await run.run("compile", () => compile(identity, document, signal));
      const candidate = { compiled: made, draftEtag: etag, rollbackOf: 0n };
      return await makeLive(identity, document.agent, candidate, comment, run);
    },

    async rollback(identity, agent, version, comment, signal) {
      const run = stages(clock);
      const old = await run.run("validate", () => self.version(identity, agent, version));
      const made = await run.run("compile", () => compile(identity, draftOf(old), signal));
      const candidate = { compiled: made, draftEtag: "0", rollbackOf: version };
      return await makeLive(identity, agent, candidate, comment, run);
    },

    async trial(identity, draft, signal) {
      const made = await compile(identity, draft, signal, forgetful);
      const { tenantId } = identity;
      const bundle = bundleOf(made, { tenantId, version: 0n, at: clock.now() });
      requireFits(toBinary(BundleSchema, bundle), parts.bundleMaxBytes);
      return bundle;
    },

    async version({ tenantId }, { id, slug }, version) {
      const key = JSON.stringify([tenantId, id, String(version)]);
      const cached = bundles.get(key);
      if (cached) return cached;
      const bytes = await store.bundle(tenantId, id, version);
      if (!bytes) throw versionNotFound(slug, version);
      const kept = { table: "config.agent_versions", id: `${id} version ${version}` };
      const bundle = storedMessage(BundleSchema, new Uint8Array(bytes), kept);
      // A copy of its own, so that whoever reads it as float32 finds it aligned.
      if (bundle.embeddings) bundle.embeddings.vectors = bundle.embeddings.vectors.slice();
      bundles.set(key, bundle);
      return bundle;
    },

    async serialised({ tenantId }, { id, slug }, version) {
      const read = async (from: number) => {
        const range = { from, bytes: pieceBytes };
        const found = await store.bundlePiece(tenantId, id, version, range);
        if (!found) throw versionNotFound(slug, version);
        return found;
      };
      const { piece: first, sizeBytes } = await read(0);
      async function* pieces() {
        yield first;
        for (let from = first.byteLength; from < sizeBytes; from += pieceBytes)
          yield (await read(from)).piece;
      }
      return { sizeBytes, pieces: pieces() };
    },
  };
  return self;
}

/**
 * Whether publishing the candidate would change nothing, or take back what someone else has
 * published of a later state of the draft in the meantime.
 */
function isCovered(candidate: Candidate, live: LiveVersion, embeddingModel: string): boolean {
  if (candidate.rollbackOf) return false;
  const isSameModel = live.embeddingModel === embeddingModel;
  if (live.contentHash === candidate.compiled.contentHash && isSameModel) return true;
  return !live.rollbackOf && BigInt(live.draftEtag) > BigInt(candidate.draftEtag);
}

function requireFits({ byteLength }: Uint8Array, maxBytes: number): void {
  if (byteLength <= maxBytes) return;
  throw new Fault(
    "precondition",
    `the bundle has ${byteLength} bytes, more than the ${maxBytes} that [bundles] max_bytes allows: set it to ${2 ** Math.ceil(Math.log2(byteLength))} or more in every service, or publish fewer rules and examples`,
    {
      reason: "BUNDLE_TOO_LARGE",
      metadata: { size_bytes: String(byteLength), size_max_bytes: String(maxBytes) },
    },
  );
}
