import { create, toBinary } from "@bufbuild/protobuf";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { describe, expect, it } from "vitest";
import { bounded } from "./record-bounds.ts";

const some = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

describe("a record", () => {
  it("keeps what is short as it is", () => {
    const record = create(TurnRecordSchema, {
      relations: some(300, (i) => ({ source: `rule:${i}` })),
      navigation: { after: "pay/card", moves: [{ kind: "edge" }] },
    });
    expect(bounded(record)).toEqual({ ...record, shortened: [] });
  });
  it("keeps the first of what is long, and says how much it left out", () => {
    const record = create(TurnRecordSchema, {
      relations: some(9_000, (i) => ({ source: `rule:${i}`, target: `rule:${i + 1}` })),
      scenarios: some(301, (i) => ({ name: `scenario-${i}` })),
      navigation: { after: "pay/card", moves: some(400, (i) => ({ id: `edge-${i}` })) },
      reply: { source: "template", checks: some(5, () => ({ kind: "judge" })) },
    });
    const short = bounded(record);
    expect(short.shortened).toEqual([
      "scenarios: 300 of 301",
      "relations: 300 of 9000",
      "moves: 300 of 400",
    ]);
    expect(short.relations).toEqual(record.relations.slice(0, 300));
    expect(short.navigation).toMatchObject({ after: "pay/card" });
    expect(short.reply?.checks).toHaveLength(5);
    expect(toBinary(TurnRecordSchema, short).byteLength).toBeLessThan(30_000);
  });
});
