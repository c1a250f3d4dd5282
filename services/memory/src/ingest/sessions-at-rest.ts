import type { DueEpisode } from "../store/stage-backlog.ts";
import type { StageWork } from "./stage-worker.ts";

export interface RestOptions {
  /** A session with so many turns waiting does not wait any longer. */
  readonly turnsMax: number;
  /** A session in which nothing was said for so long is at rest. */
  readonly idleMs: number;
  readonly now: () => Date;
}

/** Lets a session's episodes wait until it is at rest, or many of them wait: one call reads them all. */
export function sessionsAtRest<T>(
  work: StageWork<T>,
  { turnsMax, idleMs, now }: RestOptions,
): StageWork<T> {
  return async (due, signal) => {
    const sessions = Map.groupBy(due, keyOf);
    const waits = new Map<string, number>();
    for (const [key, of] of sessions) {
      const [first] = of;
      if (!first || first.episode.sessionId === "") continue;
      const latest = Math.max(...of.map(({ episode }) => episode.recordedAt.getTime()));
      const leftMs = latest + idleMs - now().getTime();
      const turns = new Set(of.map(({ episode }) => episode.turnId)).size;
      if (leftMs > 0 && turns < turnsMax) waits.set(key, leftMs);
    }
    const ready = due.filter((one) => !waits.has(keyOf(one)));
    const done = ready.length > 0 ? await work(ready, signal) : [];
    const byId = new Map(ready.map(({ episode }, i) => [episode.id, done[i]]));
    return due.map((one) => {
      const forMs = waits.get(keyOf(one));
      if (forMs !== undefined) return { kind: "waits", forMs } as const;
      const outcome = byId.get(one.episode.id);
      if (!outcome) throw new Error("the work answers for each episode");
      return outcome;
    });
  };
}

function keyOf({ episode: { tenantId, groupId, sessionId } }: DueEpisode): string {
  return JSON.stringify([tenantId, groupId, sessionId]);
}
