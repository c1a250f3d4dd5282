import { runForTest } from "@soldier/chassis/testing";
import { testEvents } from "@soldier/events/testing";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import postgres from "postgres";
import { register } from "prom-client";
import { expect, it } from "vitest";
import { services } from "../services.ts";

const prunedTables = [
  "audit.dead_letters",
  "audit.inbox",
  "config.agent_versions",
  "config.variable_values",
  "memory.dead_letters",
  "memory.embeddings",
  "memory.inbox",
  "memory.summary_embeddings",
  "profile.dead_letters",
  "profile.inbox",
  "session.turn_keys",
];
const schemas = ["audit", "config", "memory", "profile", "session"];

/** Tables that pruning in pieces does not touch, and what bounds each instead. */
const others: Readonly<Record<string, readonly string[]>> = {
  "what was said and what follows from it, until it is erased": [
    "memory.claims",
    "memory.embeddings", // also those of models that are not set any more
    "memory.entities",
    "memory.entity_mentions",
    "memory.entity_merges",
    "memory.episode_vectors", // as long as those of embeddings and episodes
    "memory.episode_words",
    "memory.episodes",
    "memory.extractions",
    "memory.fact_versions",
    "memory.groups",
    "memory.parked_claims",
    "memory.predicate_uses",
    "memory.reopened_facts",
    "memory.summaries",
    "memory.summary_embeddings",
    "memory.summary_inputs",
    "profile.assets",
    "profile.consents",
    "profile.customers",
    "profile.field_claims", // also by the retention of its definition
    "profile.field_versions",
    "profile.fields",
    "profile.identities",
    "profile.merges",
    "session.sessions",
    "session.turns",
  ],
  "what operators write": [
    "config.agents",
    "config.embeddings",
    "config.resources",
    "memory.predicates",
    "memory.retentions",
    "profile.defined_versions",
    "profile.field_definitions",
  ],
  "the record: whole months go by audit's keep_months, the chain stays": [
    "audit.audit_events",
    "audit.chain",
    "audit.chain_heads",
    "audit.customer_keys",
    "audit.retention",
    "audit.turn_records",
  ],
  "what was erased must not come back": [
    "memory.erasure_keys",
    "memory.erasures",
    "memory.tombstones",
    "profile.erasures",
  ],
  "work that is removed when it is done": ["memory.backlog"],
  "removed by the relay": ["config.outbox", "profile.outbox", "session.outbox"],
  "removed by the commits that come after": ["session.tool_calls", "session.usage"],
  "removed by the next turn that is given up on a later day": ["session.given_up"],
  "one row for each embedding model": ["memory.embedding_models"],
  "one row for each migration": schemas.map((schema) => `${schema}.schema_migrations`),
};

/** A table that nobody prunes grows for ever: a new one must be pruned, or say here why not. */
describeOn("what services keep", testDatabase(), (backend) => {
  it("is pruned, or bounded by something else, table by table", async () => {
    await using opened = new AsyncDisposableStack();
    const { url, settings } = opened.use(await backend.open());
    opened.use(
      await runForTest(
        services.filter(({ name }) => schemas.includes(name)),
        {
          settings: {
            postgres: { ...settings },
            events: { ...testEvents() },
            embedder: { provider: "deterministic" },
          },
        },
      ),
    );
    const metric = await register.getSingleMetric("soldier_pruned_rows_total")?.get();
    const pruned = (metric?.values ?? [])
      .map(({ labels }) => `${labels["service"]}.${labels["table"]}`)
      .filter((name) => schemas.includes(name.split(".")[0] ?? ""));
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    opened.defer(() => sql.end());
    const rows = await sql<{ name: string }[]>`
      select n.nspname || '.' || c.relname as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any(${schemas}) and c.relkind in ('r', 'p') and not c.relispartition`;
    expect(pruned.toSorted()).toEqual(prunedTables);
    const known = [...pruned, ...Object.values(others).flat()];
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
  }, 60_000);
});
