import { type Embedder, embedOne } from "@soldier/ai/embedder";
import { newId } from "@soldier/kernel/ids";
import { inputHash, type SummaryInput } from "../domain/summary.ts";
import type { StageWork } from "../ingest/stage-worker.ts";
import type { GroupOfTenant, SummaryStore } from "../store/summary-store.ts";
import type { Summarise } from "./summarise.ts";

/** What waits for more turns is looked at when one comes: this is only for what was lost. */
const waitMs = 30 * 86_400_000;

/**
 * Makes the summaries that are due in the groups of these episodes: of the oldest turns when there are
 * enough of them, of what is left of one that was withdrawn, and of summaries. An episode has passed when
 * a summary stands for it; the store takes it out of the backlog then.
 */
export function summariseGroups(
  store: SummaryStore,
  embedder: Embedder,
  summarise: Summarise,
): StageWork<never> {
  async function make(
    { tenantId, groupId }: GroupOfTenant,
    level: 1 | 2,
    inputs: readonly SummaryInput[],
    signal: AbortSignal,
  ): Promise<void> {
    const [first] = inputs;
    if (!first) return;
    const { text, madeBy } = await summarise(inputs, signal);
    const vector = await embedOne(embedder, text, signal, "document");
    const summary = {
      tenantId,
      id: newId(),
      groupId,
      level,
      text,
      madeBy,
      inputIds: inputs.map(({ id }) => id),
      inputHash: inputHash(inputs),
      turns: inputs.reduce((sum, { turns }) => sum + turns, 0),
      coversFrom: new Date(Math.min(...inputs.map(({ from }) => from.getTime()))),
      coversTo: new Date(Math.max(...inputs.map(({ to }) => to.getTime()))),
    };
    // When it isn't kept an input was erased meanwhile, or another worker was first: the next look tells.
    await store.keep(summary, { model: embedder.model, vector });
  }

  return async (due, signal) => {
    const groups = new Map(
      due.map(({ episode: { tenantId, groupId } }) => [
        JSON.stringify([tenantId, groupId]),
        { tenantId, groupId },
      ]),
    );
    const ready = new Set<string>();
    for (const group of await store.due([...groups.values()])) {
      const { tenantId, groupId } = group;
      const window = await store.window(tenantId, groupId);
      if (window) {
        await make(group, 1, window, signal);
        ready.add(JSON.stringify([tenantId, groupId])); // there may be another one
      }
      const summaries = await store.summariesDue(tenantId, groupId);
      if (summaries) await make(group, 2, summaries, signal);
    }
    return due.map(({ episode }) => {
      const more = ready.has(JSON.stringify([episode.tenantId, episode.groupId]));
      return { kind: "waits", forMs: more ? 0 : waitMs } as const;
    });
  };
}
