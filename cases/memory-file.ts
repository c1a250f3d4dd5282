import { z } from "zod";

const day = z.iso.date();

const claimShape = z.strictObject({
  id: z.string(),
  kind: z.enum(["assert", "end", "retract"]),
  s: z.string().optional(),
  p: z.string().optional(),
  o: z.string().optional(),
  from: day.nullish(),
  to: day.nullish(),
  /** Of an end. */
  at: day.optional(),
  target: z.string().optional(),
  episode: z.string().optional(),
  group: z.string().default("g"),
  authority: z.enum(["inferred", "agent", "user", "verified"]).optional(),
  recorded_at: day,
  attrs: z.record(z.string(), z.unknown()).optional(),
});

const queryShape = z.strictObject({
  op: z.string(),
  subject: z.string().optional(),
  predicates: z.array(z.string()).default([]),
  group: z.string().optional(),
  groups: z.array(z.string()).optional(),
  as_of_valid: day.optional(),
  as_of_recorded: day.optional(),
  mode: z.enum(["current", "at", "history"]).default("current"),
  with_intervals: z.boolean().optional(),
  with_sources: z.boolean().optional(),
  // Of what is not built: known, so that such a case is skipped and not failed.
  valid_from: z.unknown().optional(),
  valid_to: z.unknown().optional(),
  attrs: z.unknown().optional(),
  object_types: z.unknown().optional(),
  mention: z.unknown().optional(),
  center: z.unknown().optional(),
  candidates: z.unknown().optional(),
});

const caseShape = z.strictObject({
  id: z.string(),
  area: z.string(),
  given: z.strictObject({
    now: day,
    predicates: z.record(z.string(), z.enum(["one", "many"])).default({}),
    claims: z.array(claimShape).default([]),
    episodes: z
      .array(
        z.strictObject({
          id: z.string(),
          group: z.string().default("g"),
          occurred_at: day,
          recorded_at: day,
          key: z.string().optional(),
        }),
      )
      .default([]),
    entities: z
      .array(
        z.strictObject({
          id: z.string(),
          name: z.string(),
          type: z.string().default(""),
          group: z.string().default("g"),
          aliases: z.array(z.string()).default([]),
          mentioned_in: z.array(z.string()).optional(),
        }),
      )
      .default([]),
    merges: z
      .array(
        z.strictObject({
          from: z.string(),
          to: z.string(),
          recorded_at: day,
          undone_at: day.nullish(),
        }),
      )
      .default([]),
    erasures: z.unknown().optional(),
    summaries: z.unknown().optional(),
  }),
  query: queryShape,
  expect: z.strictObject({
    ids: z.array(z.string()).optional(),
    intervals: z.record(z.string(), z.tuple([day, day.nullable()])).optional(),
    sources: z.record(z.string(), z.array(z.string())).optional(),
    decision: z.unknown().optional(),
    id: z.unknown().optional(),
    stale: z.unknown().optional(),
  }),
  source: z.unknown().optional(),
});

export type MemoryCase = z.output<typeof caseShape>;

export interface ReadMemoryCase {
  readonly id: string;
  readonly title: string;
  readonly area: string;
  readonly case: MemoryCase | undefined;
  /** Why it can't be taken. */
  readonly problems: readonly string[];
}

const headShape = z.looseObject({ id: z.string().catch("?"), area: z.string().catch("") });
const fileShape = z.looseObject({
  cases: z.array(z.looseObject({ given: z.looseObject({}), query: z.looseObject({}) })).min(1),
});

/** The cases of a file about memory; undefined for a file of another kind. */
export function memoryCasesIn(content: unknown): readonly ReadMemoryCase[] | undefined {
  const file = fileShape.safeParse(content);
  return file.success ? file.data.cases.map(readOne) : undefined;
}

function readOne(each: unknown): ReadMemoryCase {
  const { id, area } = headShape.catch({ id: "?", area: "" }).parse(each);
  const read = caseShape.safeParse(each);
  const head = { id, title: area, area };
  if (read.success) return { ...head, case: read.data, problems: [] };
  const problems = read.error.issues.flatMap((issue) => {
    const place = issue.path.map(String).join(".");
    if (issue.code !== "unrecognized_keys") return [`cannot read ${place}: ${issue.message}`];
    return issue.keys.map((key) => `cannot check: ${place ? `${place}.` : ""}${key}`);
  });
  return { ...head, case: undefined, problems };
}

/** What of a case is not built yet; undefined when it can run. */
export function notBuilt({ given, query }: MemoryCase): string | undefined {
  if (given.erasures !== undefined) return "erasure is not built";
  if (given.summaries !== undefined) return "summaries are not built";
  const filters = ["valid_from", "valid_to", "attrs", "object_types"] as const;
  const filter = filters.find((key) => query[key] !== undefined);
  if (filter) return `QueryFacts has no filter by ${filter}`;
  if (query.op !== "facts" && query.op !== "episodes") return `${query.op} is not built`;
  return undefined;
}
