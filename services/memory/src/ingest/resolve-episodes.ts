import { resolveFindings, type Resolution } from "../domain/resolution.ts";
import type { ResolutionStore } from "../store/resolution-store.ts";
import { findingsDropped } from "./ingestion-metrics.ts";
import type { StageWork } from "./stage-worker.ts";

/** How long a correction waits for what it may correct. */
const earlierMs = 1_000;

/** The stage "resolved": names become entities, findings become claims. */
export function resolveEpisodes(store: ResolutionStore): StageWork<Resolution> {
  return async (due, signal) => {
    const outcomes: Awaited<ReturnType<StageWork<Resolution>>>[number][] = [];
    for (const { episode } of due) {
      signal.throwIfAborted();
      const extraction = (await store.extraction(episode.tenantId, episode.id)) ?? {
        extractor: "",
        findings: [],
      };
      const correcting = extraction.findings.some(({ kind }) => kind === "correction");
      if (correcting && (await store.earlierWaits(episode))) {
        outcomes.push({ kind: "waits", forMs: earlierMs });
        continue;
      }
      const value = resolveFindings(extraction, await store.known(episode, correcting));
      for (const why of value.dropped) findingsDropped.inc({ why });
      outcomes.push({ kind: "done", value });
    }
    return outcomes;
  };
}
