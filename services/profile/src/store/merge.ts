import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import type { ISql } from "postgres";
import { type Held, hold, type Member, touch } from "./hold.ts";
import type { Merged, NewMerge, Unmerged } from "./profile-store.ts";
import type { Sealing } from "./sealing.ts";
import { believe, claimsOn } from "./versions.ts";

interface ActiveMerge {
  readonly id: string;
  readonly from_id: string;
  readonly into_id: string;
}

/** See ProfileStore.merge. Part of a transaction. */
export async function mergeCustomers(
  tx: ISql,
  tenantId: string,
  { fromId, intoId, mergedBy, evidence }: NewMerge,
  sealing: Sealing,
  now: Date,
): Promise<Merged> {
  const all = await hold(tx, tenantId, [fromId, intoId], now);
  const from = standsFor(all, fromId);
  const into = standsFor(all, intoId);
  if (!from || !into) return { kind: "absent", customerId: from ? intoId : fromId };
  if (from.rootId !== fromId) {
    const merges = await activeMerges(tx, tenantId, from);
    const there = merges.find(({ from_id }) => from_id === fromId);
    if (there && from.rootId === into.rootId && !isBelow(intoId, fromId, merges))
      return { kind: "merged", mergeId: there.id, rootId: into.rootId, repeated: true };
    throw new Fault("conflict", `customer ${fromId} was merged into another: unmerge it first`, {
      reason: "CUSTOMER_MERGED",
      metadata: { customer_id: from.rootId, ...(there && { merge_id: there.id }) },
    });
  }
  if (from.rootId === into.rootId)
    throw new Fault("conflict", `customer ${intoId} was merged into ${fromId} before`, {
      reason: "CUSTOMER_MERGED",
      metadata: { customer_id: from.rootId },
    });
  const mergeId = newId();
  const { recordedAt } = into;
  await tx`
    insert into merges (tenant_id, id, from_id, into_id, recorded_at, merged_by, evidence)
    values (${tenantId}, ${mergeId}, ${fromId}, ${into.rootId}, ${recordedAt}, ${mergedBy}, ${evidence})`;
  await belong(tx, tenantId, into.rootId, [...into.members, ...from.members]);
  const both: Held = { ...into, members: [...into.members, ...from.members] };
  await believe(tx, tenantId, both, await claimsOn(tx, tenantId, both, sealing));
  await touch(tx, tenantId, both, fromId);
  return { kind: "merged", mergeId, rootId: into.rootId, repeated: false };
}

/** See ProfileStore.unmerge. Part of a transaction. */
export async function unmergeCustomers(
  tx: ISql,
  tenantId: string,
  mergeId: string,
  unmergedBy: string,
  sealing: Sealing,
  now: Date,
): Promise<Unmerged> {
  const [given] = await tx<ActiveMerge[]>`
    select id, from_id, into_id from merges where tenant_id = ${tenantId} and id = ${mergeId}`;
  if (!given) return { kind: "absent" };
  const { from_id: fromId, into_id: intoId } = given;
  const all = await hold(tx, tenantId, [fromId, intoId], now);
  const held = standsFor(all, fromId);
  if (!held || !standsFor(all, intoId)) return { kind: "absent" };
  const merges = await activeMerges(tx, tenantId, held);
  if (!merges.some(({ id }) => id === mergeId))
    return { kind: "unmerged", fromId, intoId, repeated: true };
  const { rootId, recordedAt } = held;
  await tx`
    update merges set undone_at = ${recordedAt}, undone_by = ${unmergedBy}
    where tenant_id = ${tenantId} and id = ${mergeId}`;
  const parted = held.members.filter(({ id }) => isBelow(id, fromId, merges));
  const left = held.members.filter((member) => !parted.includes(member));
  for (const [id, members] of [
    [fromId, parted],
    [rootId, left],
  ] as const) {
    await belong(tx, tenantId, id, members);
    const own: Held = { rootId: id, members, recordedAt };
    await believe(tx, tenantId, own, await claimsOn(tx, tenantId, own, sealing));
    await touch(tx, tenantId, own, id);
  }
  return { kind: "unmerged", fromId, intoId, repeated: false };
}

/** The customers stand for nobody from now on but for the root, who stands for all of them. */
async function belong(
  tx: ISql,
  tenantId: string,
  rootId: string,
  members: readonly Member[],
): Promise<void> {
  const aliases = members.map(({ id }) => id).filter((id) => id !== rootId);
  await tx`
    update customers set
      root_id = case when id = ${rootId} then null else ${rootId}::uuid end,
      alias_ids = case when id = ${rootId} then ${aliases}::uuid[] else '{}' end
    where tenant_id = ${tenantId} and id = any(${[rootId, ...aliases]}::uuid[])`;
}

async function activeMerges(
  tx: ISql,
  tenantId: string,
  { members }: Held,
): Promise<readonly ActiveMerge[]> {
  return tx<ActiveMerge[]>`
    select id, from_id, into_id from merges
    where tenant_id = ${tenantId} and undone_at is null
      and from_id = any(${members.map(({ id }) => id)}::uuid[])`;
}

/** Whether a customer is that one, or was merged into it, directly or not. */
function isBelow(id: string, top: string, merges: readonly ActiveMerge[]): boolean {
  if (id === top) return true;
  const merge = merges.find(({ from_id }) => from_id === id);
  return merge !== undefined && isBelow(merge.into_id, top, merges);
}

function standsFor(all: readonly Held[], customerId: string): Held | undefined {
  return all.find(({ members }) => members.some(({ id }) => id === customerId));
}
