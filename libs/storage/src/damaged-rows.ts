import { Fault } from "@soldier/kernel/fault";

/** A row that can't be read, as lists tell of it. */
export interface DamagedRow {
  /** With its schema, e.g. "session.turns". */
  readonly table: string;
  readonly id: string;
  /** What is wrong, and what to do. */
  readonly message: string;
}

/** Where it stands in what was read, from 0, and by the list's own key. */
export interface DamagedAt<P> {
  readonly index: number;
  readonly place: P;
  readonly row: DamagedRow;
}

/** Is told of each row that can't be read. Where nobody listens the list fails: it must be whole there. */
export type OnDamaged<P> = (damaged: DamagedAt<P>) => void;

/** Part of what a list is asked for. */
export interface Listening<P> {
  readonly onDamaged?: OnDamaged<P> | undefined;
}

/** What is in the rows, without those that can't be read. */
export function readEach<R, T, P>(
  rows: readonly R[],
  read: (row: R) => T,
  placeOf: (row: R) => P,
  onDamaged: OnDamaged<P> | undefined,
): T[] {
  if (!onDamaged) return rows.map(read);
  return rows.flatMap((row, index) => {
    try {
      return [read(row)];
    } catch (error) {
      onDamaged({ index, place: placeOf(row), row: damagedRow(error) });
      return [];
    }
  });
}

/** What the error says of a row; throws it when it says something else. */
export function damagedRow(error: unknown): DamagedRow {
  if (!(error instanceof Fault) || error.reason !== "ROW_DAMAGED") throw error;
  const { table = "", id = "" } = error.metadata;
  return { table, id, message: error.message };
}

/** A page of so many rows, damaged ones among them, of which one more was read. */
export function pageOfRows<T, P>(
  items: readonly T[],
  damaged: readonly DamagedAt<P>[],
  size: number,
  placeOf: (item: T) => P,
): { items: T[]; damagedRows: DamagedRow[]; next: P | undefined } {
  const shown = damaged.filter(({ index }) => index < size);
  const kept = items.slice(0, size - shown.length);
  const damagedRows = shown.map(({ row }) => row);
  if (items.length + damaged.length <= size) return { items: kept, damagedRows, next: undefined };
  const end = shown.find(({ index }) => index === size - 1);
  const last = kept.at(-1);
  return { items: kept, damagedRows, next: end ? end.place : last && placeOf(last) };
}
