import { type DamagedAt, type DamagedRow, pageOfRows } from "@soldier/storage/damaged-rows";
import { type Page, tokenOf } from "../domain/page.ts";

/** A page as lists answer it. */
export interface Shown<T> {
  readonly items: T[];
  readonly damagedRows: DamagedRow[];
  readonly nextPageToken: string;
}

/** What to read for a page, and the page of it. `keysOf` gives a row's keys in the list's order. */
export function paged<T>({ after, limit }: Page, keysOf: (item: T) => readonly string[]) {
  const damaged: DamagedAt<readonly string[]>[] = [];
  const onDamaged = (one: DamagedAt<readonly string[]>) => damaged.push(one);
  return {
    slice: { after, limit: limit + 1, onDamaged },
    shown: (found: readonly T[]): Shown<T> => {
      const { next, ...page } = pageOfRows(found, damaged, limit, keysOf);
      return { ...page, nextPageToken: next ? tokenOf(...next) : "" };
    },
  };
}
