/** A saying that two entities are one, as far as it decides who stands for whom. */
export interface Merge {
  readonly from: string;
  readonly to: string;
  readonly recordedAt: Date;
  readonly undoneAt: Date | undefined;
}

/** Who stands for an entity by the merges believed at a recorded time: itself when it was not merged. */
export function canonicaliser(
  merges: readonly Merge[],
  recordedAt: number,
): (entityId: string) => string {
  const next = new Map<string, string>();
  for (const { from, to, recordedAt: since, undoneAt } of merges)
    if (since.getTime() <= recordedAt && (!undoneAt || undoneAt.getTime() > recordedAt))
      next.set(from, to);
  return (entityId) => {
    const seen = new Set<string>();
    let id = entityId;
    // A ring can't be stored; were there one, its members would stay themselves.
    for (let to = next.get(id); to !== undefined && !seen.has(to); to = next.get(id)) {
      seen.add(id);
      id = to;
    }
    return id;
  };
}

/** A name as it is compared: without case, width and superfluous space. */
export function foldedName(name: string): string {
  return name.normalize("NFKC").toLowerCase().trim().replaceAll(/\s+/g, " ");
}
