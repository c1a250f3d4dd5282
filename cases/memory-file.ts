import { Comparison } from "@soldier/proto/memory/v1/memory_service";
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
  attrs: z.record(z.string(), z.json()).optional(),
});

const comparisons = {
  "=": "EQUAL",
  "==": "EQUAL",
  "!=": "NOT_EQUAL",
  "<>": "NOT_EQUAL",
  "<": "LESS",
  "<=": "LESS_OR_EQUAL",
  ">": "GREATER",
  ">=": "GREATER_OR_EQUAL",
  is_null: "IS_NULL",
  is_not_null: "IS_NOT_NULL",
} as const;

const comparison = z
  .enum(Object.keys(comparisons) as (keyof typeof comparisons)[]) // keys of a constant
  .transform((written) => Comparison[comparisons[written]]);
/** All conditions of any of the groups. */
const timeGroups = z
  .array(z.array(z.strictObject({ op: comparison, value: day.nullish() })).min(1))
  .default([]);

const queryShape = z.strictObject({
  op: z.enum([
    "facts",
    "episodes",
    "entities",
    "summaries",
    "resolve_entity",
    "node_distance",
    "episode_mentions",
  ]),
  subject: z.string().optional(),
  object: z.string().optional(),
  predicates: z.array(z.string()).default([]),
  group: z.string().optional(),
  groups: z.array(z.string()).optional(),
  as_of_valid: day.optional(),
  as_of_recorded: day.optional(),
  mode: z.enum(["current", "at", "overlap", "history"]).default("current"),
  /** Of an overlap. */
  from: day.optional(),
  to: day.optional(),
  limit: z.int().min(1).max(100).optional(),
  with_intervals: z.boolean().optional(),
  with_sources: z.boolean().optional(),
  valid_from: timeGroups,
  valid_to: timeGroups,
  attrs: z
    .array(
      z.strictObject({
        name: z.string(),
        op: comparison,
        value: z.union([z.string(), z.number(), z.boolean()]).nullish(),
      }),
    )
    .default([]),
  object_types: z.array(z.string()).default([]),
  subject_types: z.array(z.string()).default([]),
  mention: z.strictObject({ name: z.string(), type: z.string().default("") }).optional(),
  center: z.string().optional(),
  candidates: z.array(z.string()).default([]),
});

/** What is erased, one of them. */
const erasureShape = z
  .strictObject({
    episode: z.string().optional(),
    session: z.string().optional(),
    group: z.string().optional(),
    customer: z.string().optional(),
    tenant: z.boolean().optional(),
    at: day,
  })
  .refine(
    ({ episode, session, group, customer, tenant }) =>
      [episode, session, group, customer, tenant].filter((each) => each !== undefined).length === 1,
    "one thing is erased at a time",
  );

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
          /** The group's own unless given. */
          customer: z.string().optional(),
          session: z.string().optional(),
          text: z.string().optional(),
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
          mentioned_in: z.array(z.string()).default([]),
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
    erasures: z.array(erasureShape).default([]),
    summaries: z
      .array(
        z.strictObject({
          id: z.string(),
          group: z.string().default("g"),
          inputs: z.array(z.string()).min(1),
        }),
      )
      .default([]),
  }),
  query: queryShape,
  expect: z.strictObject({
    ids: z.array(z.string()).optional(),
    intervals: z.record(z.string(), z.tuple([day, day.nullable()])).optional(),
    sources: z.record(z.string(), z.array(z.string())).optional(),
    decision: z.enum(["match", "ambiguous", "new"]).optional(),
    id: z.string().optional(),
    /** Of a new name: entities that are somewhat alike. */
    suggestions: z.array(z.string()).optional(),
    /** Summaries that were withdrawn, and whose surviving inputs wait to be summed up anew. */
    stale: z.array(z.string()).optional(),
    /** The question is refused. */
    error: z.union([z.boolean(), z.string()]).optional(),
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
