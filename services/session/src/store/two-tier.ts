import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Session, SessionStateSchema } from "@soldier/proto/session/v1/session";
import type { SessionCache, Version } from "./session-cache.ts";
import type { Kept, SessionStore } from "./session-store.ts";

/**
 * The store behind a cache. The store decides each call by itself: the cache saves it to read, and to
 * send, state and turns of a session that is as it was kept. Nobody waits for what is written to it.
 */
export function twoTierSessionStore(truth: SessionStore, cache: SessionCache): SessionStore {
  return {
    ...truth,

    async begin(viewer, beginning) {
      const { target, historyMax } = beginning;
      if (target.kind === "new") return truth.begin(viewer, beginning);
      const { tenantId } = viewer;
      const kept = await cache.read(tenantId, target.sessionId, historyMax);
      const begun = await truth.begin(viewer, { ...beginning, ...(kept && { kept }) });
      if (!("stored" in begun)) return begun;
      const version = versionOf(begun.stored.session);
      const same = kept !== undefined && isKept(kept, version);
      if (kept) cache.found(same);
      if (!same && begun.kind === "begun")
        void cache.replace(tenantId, target.sessionId, version, begun.history);
      return begun;
    },

    async commit(tenantId, commit) {
      const committed = await truth.commit(tenantId, commit);
      // A commit that is repeated may bring another state than the one that was written.
      if (committed.kind === "committed" && committed.updatedBefore) {
        const { lease, expectedVersion, state, turn, now } = commit;
        const { version, updatedBefore } = committed;
        const before = { version: expectedVersion, updatedAt: updatedBefore };
        const written = { version, updatedAt: now, turnCount: turn.number, state };
        if (turn.number === 1) void cache.replace(tenantId, lease.sessionId, written, [turn]);
        else void cache.add(tenantId, lease.sessionId, before, written, turn);
      }
      return committed;
    },

    async change(viewer, sessionId, move) {
      const stored = await truth.change(viewer, sessionId, move);
      if (stored?.session.meta?.deletedAt) void cache.forget(viewer.tenantId, sessionId);
      return stored;
    },

    async erase(tenantId, erasure) {
      const erased = await truth.erase(tenantId, erasure);
      if (!erasure.dryRun)
        for (const sessionId of erased.sessionIds) await cache.forget(tenantId, sessionId);
      return erased;
    },
  };
}

function isKept(kept: Kept, { version, updatedAt }: Version): boolean {
  return kept.version === version && kept.updatedAt.getTime() === updatedAt.getTime();
}

function versionOf({ version, turnCount, state, meta }: Session): Version {
  return {
    version,
    updatedAt: meta?.updatedAt ? timestampDate(meta.updatedAt) : new Date(0),
    turnCount,
    state: state ?? create(SessionStateSchema),
  };
}
