/** Why an item did not get into the queue, or had to leave it. */
export type Overflow = "tenant-full" | "queue-full";

/**
 * A bounded queue for each tenant, served in turn: of two tenants who wait, each gets every second place,
 * however many items one of them has. All queues together are bounded, too; when they are full, a tenant
 * with fewer items takes the place of the latest item of the longest queue.
 */
export class FairQueue<T> {
  /** In the order in which the tenants are served next; none is empty. */
  readonly #queues = new Map<string, T[]>();
  readonly #max: number;
  readonly #tenantMax: number;
  #size = 0;

  constructor(limits: { readonly max: number; readonly tenantMax: number }) {
    this.#max = limits.max;
    this.#tenantMax = limits.tenantMax;
  }

  get size(): number {
    return this.#size;
  }

  /** Tenants who wait. */
  get tenants(): number {
    return this.#queues.size;
  }

  sizeOf(tenant: string): number {
    return this.#queues.get(tenant)?.length ?? 0;
  }

  /** Puts the item last in its tenant's queue. Returns who is refused for it, if anybody: it, or another. */
  push(tenant: string, item: T): { readonly item: T; readonly why: Overflow } | undefined {
    const own = this.#queues.get(tenant);
    if ((own?.length ?? 0) >= this.#tenantMax) return { item, why: "tenant-full" };
    const evicted = this.#size >= this.#max ? this.#evictFor(own?.length ?? 0) : undefined;
    if (this.#size >= this.#max) return { item, why: "queue-full" };
    if (own) own.push(item);
    else this.#queues.set(tenant, [item]);
    this.#size += 1;
    return evicted && { item: evicted.item, why: "queue-full" };
  }

  /** The next item, of the first tenant in line for whom the function holds. */
  shift(mayGo: (tenant: string) => boolean = () => true): T | undefined {
    for (const [tenant, items] of this.#queues) {
      if (!mayGo(tenant)) continue;
      const item = items.shift();
      this.#size -= 1;
      this.#queues.delete(tenant);
      if (items.length > 0) this.#queues.set(tenant, items); // last in line
      return item;
    }
    return undefined;
  }

  /** Takes an item out of turn. Returns whether it was there. */
  remove(tenant: string, item: T): boolean {
    const items = this.#queues.get(tenant);
    const index = items?.indexOf(item) ?? -1;
    if (!items || index < 0) return false;
    items.splice(index, 1);
    this.#size -= 1;
    if (items.length === 0) this.#queues.delete(tenant);
    return true;
  }

  /** Makes room for a tenant with so many items, when another has at least two more. */
  #evictFor(own: number): { readonly item: T } | undefined {
    let longest: T[] | undefined;
    for (const items of this.#queues.values())
      if (items.length > (longest?.length ?? own + 1)) longest = items;
    const item = longest?.pop();
    if (item === undefined) return undefined;
    this.#size -= 1; // it had two or more, so its tenant stays
    return { item };
  }
}
