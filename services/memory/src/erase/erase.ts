import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { type Counts, type ErasureScope, sumOf } from "../domain/erasure.ts";
import type { Erasure, ErasureStore, Probe } from "../store/erasure-store.ts";
import { erasuresFinished } from "./erasure-metrics.ts";

/** What is erased outside of memory's tables. Each may be asked again for what it has done. */
export interface Elsewhere {
  /** Every id of a customer, the one given and those that are merged with it. */
  customerIds(erasure: Asked, customerId: string): Promise<readonly string[]>;
  profile(erasure: Erasure, dryRun: boolean): Promise<Counts>;
  sessions(erasure: Erasure, dryRun: boolean): Promise<Part>;
  audit(erasure: Erasure, dryRun: boolean): Promise<Counts>;
  events(erasure: Erasure, dryRun: boolean): Promise<Part>;
}

/** Who asks, and of which tenant. */
export interface Asked {
  readonly tenantId: string;
  readonly askedBy: string;
}

export interface Part {
  readonly counts: Counts;
  /** Things that can't be erased yet: those who follow them have not had them. */
  readonly pending: number;
}

export interface EraserOptions {
  readonly store: ErasureStore;
  readonly elsewhere: Elsewhere;
  /** Whether a search for the probe's own text finds it. */
  readonly finds: (tenantId: string, probe: Probe) => Promise<boolean>;
  readonly log: Log;
}

export interface Eraser {
  /** Undefined when there is nothing of that name: an episode that is not there. */
  erase(asked: Asked, scope: ErasureScope): Promise<Erasure | undefined>;
  /** What erase would remove. Changes nothing. */
  count(asked: Asked, scope: ErasureScope): Promise<Counts | undefined>;
  /** Does what is left of it. Resolves with how it stands: finished, or put off with a reason. */
  goOn(erasure: Erasure): Promise<Erasure>;
}

/** Nobody else takes up an erasure for so long after it was begun or taken up. */
export const holdMs = 60_000;
const retryMs = 2_000;
const retryMaxMs = 300_000;

/**
 * Erases in the order of docs/memory.md: tombstones before anything else, so that nothing comes back;
 * then, group by group, what was said with all that follows from it; then the same words elsewhere; at the
 * end a look that nothing answers any more. Every step may be repeated, and only what is not done is.
 */
export function eraser({ store, elsewhere, finds, log }: EraserOptions): Eraser {
  async function aboutOf(asked: Asked, scope: ErasureScope) {
    const about = await store.about(asked.tenantId, scope);
    if (!about || scope.kind !== "customer") return about;
    return { ...about, customerIds: await elsewhere.customerIds(asked, scope.customerId) };
  }

  const steps: readonly (readonly [string, (erasure: Erasure) => Promise<Done>])[] = [
    ["memory", eraseMemory],
    ["profile", async (erasure) => ({ counts: await elsewhere.profile(erasure, false) })],
    ["sessions", async (erasure) => all(await elsewhere.sessions(erasure, false), "sessions")],
    ["audit", async (erasure) => ({ counts: await elsewhere.audit(erasure, false) })],
    // After the sessions: what an outbox still has, it would publish again.
    ["events", async (erasure) => all(await elsewhere.events(erasure, false), "events")],
    ["verified", async (erasure) => ({ counts: {}, probes: await verify(erasure) })],
  ];
  /** Of erasures that this process works on: texts are written down nowhere. */
  const probesOf = new Map<string, Probe[]>();

  async function eraseMemory(erasure: Erasure): Promise<Done> {
    for (const groupId of await store.groups(erasure)) {
      const { probes } = await store.eraseGroup(erasure, groupId, true);
      const known = probesOf.get(erasure.id) ?? [];
      probesOf.set(erasure.id, [...known, ...probes].slice(0, probesMax));
    }
    return { counts: await store.eraseRest(erasure, true) };
  }

  async function verify(erasure: Erasure): Promise<number> {
    const left = await store.leftovers(erasure);
    if (left > 0) throw notErased(`${left} rows are left`);
    const probes = probesOf.get(erasure.id) ?? [];
    for (const probe of probes)
      if (await finds(erasure.tenantId, probe))
        throw notErased(`episode ${probe.episodeId} is still found`);
    return probes.length;
  }

  async function goOn(given: Erasure): Promise<Erasure> {
    let erasure = given;
    const facts = { tenantId: given.tenantId, erasure: given.id, scope: given.scope.kind };
    try {
      for (const [step, run] of steps) {
        if (erasure.done.includes(step)) continue;
        const { counts, probes = 0 } = await run(erasure);
        erasure = await store.stepDone(erasure, step, counts, probes);
      }
      erasure = await store.finish(erasure);
      erasuresFinished.inc({ scope: erasure.scope.kind });
      log.info({ ...facts, counts: erasure.counts, probes: erasure.probes }, "erased");
      probesOf.delete(erasure.id);
      return erasure;
    } catch (error) {
      const reason = error instanceof Fault ? error.reason : "ERASURE_FAILED";
      const delayMs = Math.min(retryMs * 2 ** Math.min(erasure.attempts, 20), retryMaxMs);
      log.warn({ ...facts, err: error, delayMs }, "an erasure is put off");
      await store.putOff(erasure, reason, delayMs);
      return (await store.get(erasure.tenantId, erasure.id)) ?? erasure;
    }
  }

  return {
    async erase(asked, scope) {
      const about = await aboutOf(asked, scope);
      if (!about) return undefined;
      const { tenantId, askedBy } = asked;
      return await goOn(await store.begin(tenantId, scope, about, askedBy, holdMs));
    },

    async count(asked, scope) {
      const about = await aboutOf(asked, scope);
      if (!about) return undefined;
      const trial = { ...(await store.trial(asked.tenantId, scope, about)), ...asked };
      const counts: Counts[] = [];
      for (const groupId of await store.groups(trial))
        counts.push((await store.eraseGroup(trial, groupId, false)).counts);
      counts.push(await store.eraseRest(trial, false));
      counts.push(await elsewhere.profile(trial, true), await elsewhere.audit(trial, true));
      counts.push((await elsewhere.sessions(trial, true)).counts);
      return sumOf(counts);
    },

    goOn,
  };
}

const probesMax = 50;

interface Done {
  readonly counts: Counts;
  readonly probes?: number;
}

/** A step is done when nothing waits. What it did remove is told by the try that removes the rest. */
function all({ counts, pending }: Part, what: string): Done {
  if (pending === 0) return { counts };
  throw new Fault("unavailable", `${pending} ${what} have not been taken by all who follow`, {
    reason: "ERASURE_PENDING",
  });
}

function notErased(why: string): Fault {
  return new Fault("internal", `the erasure did not reach all: ${why}`, {
    reason: "ERASURE_INCOMPLETE",
  });
}
