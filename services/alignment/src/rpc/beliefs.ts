import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Fault } from "@soldier/kernel/fault";
import { type Beliefs, BeliefsSchema } from "@soldier/proto/alignment/v1/alignment_service";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import type { FactVersion } from "@soldier/proto/memory/v1/memory";
import { FactMode } from "@soldier/proto/memory/v1/memory_service";
import { factBeliefs, fieldBeliefs, type FactViews, type ProfileViews } from "../domain/beliefs.ts";
import type { Means } from "../pipeline/means.ts";

type Peers = Pick<Means, "profile" | "memory" | "clock">;

/** Facts that are told of one turn; a customer has tens. */
const factsMax = 500;
/** Ids of one customer that are asked about, as many as memory takes at once. */
const groupsMax = 100;
/** Pages of entities that are read for names; what is not among them is told by its id. */
const entityPagesMax = 4;

/**
 * What was believed of a turn's customer when the turn read it, beside what is believed now. A part that
 * can't be asked is named and left out: the record itself is worth reading.
 */
export async function beliefsOf(record: TurnRecord, peers: Peers): Promise<Beliefs | undefined> {
  const { customerId, believedAt, receivedAt } = record;
  const point = believedAt ?? receivedAt;
  if (customerId === "" || !point) return undefined;
  const at = timestampDate(point);
  const instants = { at, now: peers.clock.now() };
  const unavailable: string[] = [];
  const profile = await orUnavailable("profile", unavailable, () =>
    profileViews(record, at, peers),
  );
  // Memory knows nothing of merges: a customer has a group for each of its ids.
  const ids = idsOf(customerId, typeof profile === "object" ? profile : undefined);
  const facts = await orUnavailable("memory", unavailable, () => factViews(ids, at, peers));
  // A customer that is not there was erased: nobody else ever has a turn.
  const erased = profile === "gone";
  const usedFields = record.profileUses.flatMap(({ name, used }) => (used ? [name] : []));
  const usedFacts = record.memories.flatMap(({ id, kind, used }) =>
    used && kind === "fact" ? [id] : [],
  );
  const isRead = typeof profile === "object" && !erased;
  return create(BeliefsSchema, {
    at: timestampFromDate(at),
    erased,
    unavailable,
    ...(isRead && { fields: [...fieldBeliefs(profile, usedFields, instants)] }),
    ...(facts && !erased && { facts: [...factBeliefs(facts, usedFacts, instants)] }),
    shortened: facts?.shortened ?? false,
  });
}

async function orUnavailable<T>(
  part: string,
  unavailable: string[],
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    unavailable.push(`${part}: ${error.reason}`);
    return undefined;
  }
}

async function profileViews(
  { customerId, profileChangedAt }: TurnRecord,
  at: Date,
  { profile }: Peers,
): Promise<ProfileViews | "gone"> {
  const valid = timestampFromDate(at);
  // By its last change the profile is exactly the one that was read, whatever the clocks say.
  const recorded = profileChangedAt ?? valid;
  try {
    const [then, hindsight, now] = await Promise.all([
      profile.getProfile({ customerId, asOf: { valid, recorded } }),
      profile.getProfile({ customerId, asOf: { valid } }),
      profile.getProfile({ customerId }),
    ]);
    return { past: then.profile, hindsight: hindsight.profile, present: now.profile };
  } catch (error) {
    if (error instanceof Fault && error.kind === "not-found") return "gone";
    throw error;
  }
}

/** The ids that were the customer's then, and those that are now. */
interface CustomerIds {
  readonly past: readonly string[];
  readonly present: readonly string[];
}

function idsOf(customerId: string, profile: ProfileViews | undefined): CustomerIds {
  const of = (view: CustomerProfile | undefined) => [
    ...new Set([customerId, ...(view ? [view.id, ...view.aliasIds] : [])]),
  ];
  return { past: of(profile?.past), present: of(profile?.present) };
}

async function factViews(
  ids: CustomerIds,
  at: Date,
  { memory }: Peers,
): Promise<FactViews & { readonly shortened: boolean }> {
  const point = timestampFromDate(at);
  const of = (groups: readonly string[]) => ({
    groupIds: groups.slice(0, groupsMax),
    pageSize: factsMax,
  });
  const [then, known] = await Promise.all([
    memory.queryFacts({
      ...of(ids.past),
      mode: FactMode.AT,
      asOf: { valid: point, recorded: point },
    }),
    memory.queryFacts({ ...of(ids.present), mode: FactMode.HISTORY }),
  ]);
  const customerIds = new Set([...ids.past, ...ids.present]);
  const all = [...then.facts, ...known.facts];
  const naming = all.filter((fact) => namesEntity(fact, customerIds));
  const groups = new Set(naming.map(({ groupId }) => groupId));
  const names = await Promise.all([...groups].map((groupId) => namesIn(groupId, memory)));
  return {
    past: then.facts,
    known: known.facts,
    customerIds,
    names: new Map(names.flatMap((each) => [...each])),
    shortened:
      then.nextPageToken !== "" || known.nextPageToken !== "" || customerIds.size > groupsMax,
  };
}

function namesEntity({ value, subject }: FactVersion, customerIds: ReadonlySet<string>): boolean {
  return value.case === "object" || !customerIds.has(subject);
}

async function namesIn(
  groupId: string,
  memory: Peers["memory"],
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  let pageToken = "";
  for (let page = 0; page < entityPagesMax; page++) {
    const { entities, nextPageToken } = await memory.listEntities({
      groupId,
      pageSize: 500,
      pageToken,
    });
    for (const { id, name } of entities) names.set(id, name);
    if (nextPageToken === "") break;
    pageToken = nextPageToken;
  }
  return names;
}
