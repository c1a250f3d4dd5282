import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { TestMesh } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { Authority, Cardinality, ClaimKind, EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import type { MemoryCase } from "./memory-file.ts";

const clientOf = (mesh: TestMesh) =>
  mesh.as({ tenantId: "", subject: "", roles: [] })(MemoryService);
export type MemoryClient = ReturnType<typeof clientOf>;

/** What the service calls the things of a case, and the recorded times that it gave them. */
export interface World {
  readonly episodes: Map<string, string>;
  readonly summaries: Map<string, string>;
  /** The case's names of stored claims, episodes and summaries; of two that are one, the first. */
  readonly names: Map<string, string>;
  /** The case's names of episodes that were erased, or refused since they had been. */
  readonly erased: Set<string>;
  /** Given recorded times, in order, with the time at which that was stored. */
  readonly recorded: { readonly given: string; readonly at: Timestamp }[];
}

export const timeOf = (text: string): Timestamp => timestampFromDate(new Date(`${text}T00:00:00Z`));

/** The last time at which anything was stored that the case has recorded by that day. */
export function recordedBy({ recorded }: World, day: string): Timestamp {
  return recorded.findLast(({ given }) => given <= day)?.at ?? timeOf("1970-01-01");
}

/**
 * Stores what is given. Recorded times are the service's own: what the case has recorded on a day is
 * stored in that order, and a question as of that day is asked as of the last that was stored by then.
 */
export async function makeWorld({ given }: MemoryCase, memories: MemoryClient): Promise<World> {
  const world: World = {
    episodes: new Map(),
    summaries: new Map(),
    names: new Map(),
    erased: new Set(),
    recorded: [],
  };
  await memories.setPredicates({
    predicates: Object.entries(given.predicates).map(([name, cardinality]) => ({
      name,
      cardinality: cardinality === "one" ? Cardinality.ONE : Cardinality.MANY,
    })),
  });
  if (given.entities.length > 0)
    await memories.addEntities({
      entities: given.entities.map(({ id, name, type, aliases, group: groupId }) => {
        return { id, name, type, aliases, groupId };
      }),
    });
  const steps = [episodeSteps, mentionSteps, claimSteps, mergeSteps, summarySteps, erasureSteps]
    .flatMap((kind) => kind(given, memories, world))
    .toSorted((a, b) => (a.given < b.given ? -1 : a.given > b.given ? 1 : 0));
  for (const step of steps) await step.run();
  return world;
}

type Given = MemoryCase["given"];

/** Something that is done on a given day; of one day in the order of the kinds. */
interface Step {
  readonly given: string;
  run(): Promise<void>;
}

type Steps = (given: Given, memories: MemoryClient, world: World) => readonly Step[];

async function noted(world: World, day: string, at: Timestamp | undefined): Promise<void> {
  if (!at) throw new Error("what is stored has a recorded time");
  world.recorded.push({ given: day, at });
  // Episodes of one millisecond would be recorded at one time.
  while (Date.now() <= timestampDate(at).getTime() + 1) await new Promise(setImmediate);
}

function noteName(world: World, id: string, known: string): void {
  if (!world.names.has(id)) world.names.set(id, known);
}

const episodeSteps: Steps = ({ episodes }, memories, world) =>
  episodes.map((each) => ({
    given: each.recorded_at,
    async run() {
      const sent = {
        ingestKey: each.key ?? each.id,
        groupId: each.group,
        customerId: each.customer ?? each.group,
        sessionId: each.session ?? each.group,
        role: EpisodeRole.USER,
        text: each.text ?? `said in ${each.id}`,
        occurredAt: timeOf(each.occurred_at),
      };
      try {
        const { episode } = await memories.addEpisode({ episode: sent });
        const id = episode?.id ?? "";
        world.episodes.set(each.id, id);
        noteName(world, id, each.id);
        await noted(world, each.recorded_at, episode?.recordedAt);
      } catch (error) {
        if (!(error instanceof Fault) || error.reason !== "EPISODE_ERASED") throw error;
        const same = episodes.find(({ id, key = id }) => key === sent.ingestKey);
        world.episodes.set(each.id, world.episodes.get(same?.id ?? "") ?? "");
        world.erased.add(each.id);
      }
    },
  }));

const mentionSteps: Steps = ({ entities, episodes }, memories, world) =>
  episodes.map((episode) => ({
    given: episode.recorded_at,
    async run() {
      const mentioned = entities.filter((entity) => entity.mentioned_in.includes(episode.id));
      if (mentioned.length === 0 || world.erased.has(episode.id)) return;
      const mentionedIn = [world.episodes.get(episode.id) ?? ""];
      await memories.addEntities({
        entities: mentioned.map(({ id, name, type, aliases, group: groupId }) => {
          return { id, name, type, aliases, groupId, mentionedIn };
        }),
      });
    },
  }));

const claimSteps: Steps = ({ claims }, memories, world) => {
  const named = new Set(claims.map(({ id }) => id));
  return claims.map((each) => ({
    given: each.recorded_at,
    async run() {
      if (each.target !== undefined && !named.has(each.target))
        throw new Error(`cannot check: ${each.id} names ${each.target}, which is not there`);
      const until = each.kind === "end" ? each.at : each.to;
      const episodeId = each.episode === undefined ? "" : world.episodes.get(each.episode);
      if (episodeId === undefined) throw new Error(`cannot check: no episode ${each.episode}`);
      const claim = {
        // What was said in an episode has its id from there.
        id: episodeId === "" ? each.id : "",
        groupId: each.group,
        kind: kinds[each.kind],
        subject: each.s ?? "",
        predicate: each.p ?? "",
        ...(each.o !== undefined && { value: { case: "object", value: each.o } as const }),
        ...(each.kind === "assert" && each.from && { validFrom: timeOf(each.from) }),
        ...(until && { validTo: timeOf(until) }),
        targetClaimId: idOf(world, each.target),
        episodeId,
        authority: each.authority ? authorities[each.authority] : Authority.USER,
        ...(each.attrs && { attributes: each.attrs }),
      };
      const stored = await memories.addClaims({ claims: [claim] }).catch((error: unknown) => {
        const isErased = each.episode !== undefined && world.erased.has(each.episode);
        const refused = error instanceof Fault && error.reason === "CLAIM_INVALID";
        if (isErased && refused) return undefined; // nobody says anything in what was erased
        throw error;
      });
      if (!stored) return;
      const [first] = stored.claims;
      if (!first) throw new Error(`${each.id} was parked`);
      noteName(world, first.id, each.id);
      await noted(world, each.recorded_at, first.recordedAt);
    },
  }));
};

const mergeSteps: Steps = ({ merges }, memories, world) =>
  merges.flatMap((each): Step[] => {
    let mergeId = "";
    const merge = {
      given: each.recorded_at,
      async run() {
        const done = await memories.mergeEntities({ fromEntityId: each.from, toEntityId: each.to });
        mergeId = done.merge?.id ?? "";
        await noted(world, each.recorded_at, done.merge?.recordedAt);
      },
    };
    const { undone_at: undoneAt } = each;
    if (!undoneAt) return [merge];
    const unmerge = {
      given: undoneAt,
      async run() {
        const undone = await memories.unmergeEntities({ mergeId });
        await noted(world, undoneAt, undone.merge?.undoneAt);
      },
    };
    return [merge, unmerge];
  });

/** Stored on the day of the last of their inputs. */
const summarySteps: Steps = ({ summaries, episodes }, memories, world) => {
  const days = new Map(episodes.map(({ id, recorded_at }) => [id, recorded_at]));
  return summaries.map((each) => {
    const given =
      each.inputs
        .map((id) => days.get(id) ?? "")
        .toSorted()
        .at(-1) ?? "";
    days.set(each.id, given);
    return {
      given,
      async run() {
        const inputIds = each.inputs.map((input) => {
          const id = world.episodes.get(input) ?? world.summaries.get(input);
          if (id === undefined)
            throw new Error(`cannot check: ${each.id} needs ${input} before it`);
          return id;
        });
        const { summary } = await memories.addSummary({
          summary: { groupId: each.group, text: `what ${each.id} sums up`, inputIds },
        });
        const id = summary?.id ?? "";
        world.summaries.set(each.id, id);
        noteName(world, id, each.id);
      },
    };
  });
};

const erasureSteps: Steps = ({ erasures, episodes }, memories, world) =>
  erasures.map((each) => ({
    given: each.at,
    async run() {
      const inScope = episodes.filter(
        ({ id, group, session = group, customer = group }) =>
          each.tenant === true ||
          id === each.episode ||
          session === each.session ||
          group === each.group ||
          customer === each.customer,
      );
      const scope = scopeOf(each, inScope, world);
      const { erasure } = await memories.erase({ scope });
      // What was erased before is not there: nothing is left to do, or to be certified.
      const before = inScope.length > 0 && inScope.every(({ id }) => world.erased.has(id));
      if (!erasure?.finishedAt && !(before && erasure === undefined))
        throw new Error(`the erasure is not finished: ${erasure?.failed ?? "nothing is there"}`);
      for (const { id } of inScope) if (world.episodes.has(id)) world.erased.add(id);
    },
  }));

type Erased = Given["erasures"][number];

function scopeOf(erased: Erased, inScope: Given["episodes"], world: World) {
  const { episode, session, group, customer } = erased;
  if (episode !== undefined)
    return { case: "episodeId", value: world.episodes.get(episode) ?? "" } as const;
  if (session !== undefined) return { case: "sessionId", value: session } as const;
  if (customer !== undefined) return { case: "customerId", value: customer } as const;
  if (group === undefined) return { case: "tenant", value: true } as const;
  // A group is a customer's own, or else that of one session.
  return inScope.every((each) => (each.customer ?? group) === group)
    ? ({ case: "customerId", value: group } as const)
    : ({ case: "sessionId", value: group } as const);
}

/** What the service calls something of the case. */
function idOf({ names }: World, known: string | undefined): string {
  if (known === undefined) return "";
  for (const [id, each] of names) if (each === known) return id;
  return known;
}

const kinds = {
  assert: ClaimKind.ASSERT,
  end: ClaimKind.END,
  retract: ClaimKind.RETRACT,
} as const;

const authorities = {
  inferred: Authority.INFERRED,
  agent: Authority.AGENT,
  user: Authority.USER,
  verified: Authority.VERIFIED,
} as const;
