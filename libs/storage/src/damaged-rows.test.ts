import fc from "fast-check";
import { expect, it } from "vitest";
import { type DamagedAt, pageOfRows, readEach } from "./damaged-rows.ts";
import { rowDamaged } from "./stored-message.ts";

/** Rows are their places; odd ones can't be read in `bad`. */
const reading = (bad: ReadonlySet<number>) => (row: number) => {
  if (bad.has(row)) throw rowDamaged({ table: "t", id: String(row) }, "is torn", undefined);
  return row;
};

it("gives every row once, page by page, whichever can't be read", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 12 }),
      fc.array(fc.integer({ min: 0, max: 11 })),
      fc.integer({ min: 1, max: 5 }),
      (count, torn, size) => {
        const all = Array.from({ length: count }, (_, i) => i);
        const bad = new Set(torn.filter((row) => row < count));
        const [good, told]: [number[], string[]] = [[], []];
        let after: number | undefined = -1;
        for (let pages = 0; after !== undefined; pages++) {
          expect(pages).toBeLessThanOrEqual(count);
          const from: number = after;
          const rows = all.filter((row) => row > from).slice(0, size + 1);
          const damaged: DamagedAt<number>[] = [];
          const items = readEach(rows, reading(bad), Number, (one) => damaged.push(one));
          const page = pageOfRows(items, damaged, size, Number);
          good.push(...page.items);
          told.push(...page.damagedRows.map(({ id }) => id));
          after = page.next;
        }
        expect(good).toEqual(all.filter((row) => !bad.has(row)));
        expect(told).toEqual(all.filter((row) => bad.has(row)).map(String));
      },
    ),
  );
});

it("fails where nobody listens, and for what is no damage", () => {
  const bad = reading(new Set([1]));
  expect(() => readEach([0, 1], bad, Number, undefined)).toThrow("is torn");
  const other = () => {
    throw new Error("another matter");
  };
  expect(() => readEach([0], other, Number, () => {})).toThrow("another matter");
});
