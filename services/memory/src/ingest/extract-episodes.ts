import type { Extraction } from "../domain/finding.ts";
import type { Extractor } from "../extract/extractor.ts";
import type { KnownName } from "../extract/lexicon.ts";
import type { DueEpisode } from "../store/stage-backlog.ts";
import type { GroupKey, ResolutionStore } from "../store/resolution-store.ts";
import { findingsCount } from "./ingestion-metrics.ts";
import type { StageWork } from "./stage-worker.ts";

/** The stage "extracted": what a text says, with names as they were said. */
export function extractEpisodes(
  extractor: Extractor,
  store: Pick<ResolutionStore, "names">,
  names: readonly KnownName[],
): StageWork<Extraction> {
  return async (due, signal) => {
    const lexicons = await lexiconsOf(due, store, names);
    const readable = due.map(({ episode }) => ({
      episode,
      names: lexicons.get(keyOf(episode)) ?? names,
    }));
    const found = await extractor(readable, signal);
    for (const { extractor: by, findings } of found)
      if (findings.length > 0)
        findingsCount.inc({ extractor: by.split(":")[0] ?? by }, findings.length);
    return found.map((value) => ({ kind: "done", value }));
  };
}

const keyOf = ({ tenantId, groupId }: GroupKey) => JSON.stringify([tenantId, groupId]);

/** The deployment's names and those of each group's organisations and products. */
async function lexiconsOf(
  due: readonly DueEpisode[],
  store: Pick<ResolutionStore, "names">,
  names: readonly KnownName[],
): Promise<ReadonlyMap<string, readonly KnownName[]>> {
  const groups = new Map(due.map(({ episode }) => [keyOf(episode), episode]));
  const own = await store.names([...groups.values()]);
  const byGroup = Map.groupBy(own, keyOf);
  return new Map(Array.from(byGroup, ([key, known]) => [key, [...names, ...known]]));
}
