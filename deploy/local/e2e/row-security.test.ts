import { runForTest } from "@soldier/chassis/testing";
import { testEvents } from "@soldier/events/testing";
import { roleOf } from "@soldier/storage/role";
import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { services } from "../services.ts";

const schemas = ["audit", "config", "memory", "profile", "session"];
/** Tables without a tenant's rows: names of files, ids of events, one date. */
const ofNobody = ["embedding_models", "schema_migrations", "inbox", "retention"];

interface Table {
  readonly schema: string;
  readonly name: string;
  readonly secured: boolean;
  readonly tenants: boolean;
}

/** Whatever a store's query forgets, the database keeps tenants apart: every table of every service. */
describeOn("row-level security", testDatabase(), (backend) => {
  const opened = new AsyncDisposableStack();
  let owner: Sql;
  let tables: readonly Table[];
  const asService = new Map<string, Sql>();
  const poolOf = ({ schema }: Table): Sql => {
    const pool = asService.get(schema);
    if (!pool) throw new Error(`no pool for ${schema}`);
    return pool;
  };

  beforeAll(async () => {
    const { url, settings } = opened.use(await backend.open());
    const stores = services.filter(({ name }) => schemas.includes(name));
    {
      await using _mesh = await runForTest(stores, {
        settings: {
          postgres: { ...settings },
          events: { ...testEvents() },
          embedder: { provider: "deterministic" },
        },
      });
    }
    const open = (connection: object) => {
      const sql = postgres(url, { max: 1, onnotice: () => {}, connection });
      opened.defer(() => sql.end());
      return sql;
    };
    owner = open({});
    for (const schema of schemas)
      asService.set(schema, open({ role: roleOf(schema), search_path: schema }));
    tables = await owner<Table[]>`
      select n.nspname as schema, c.relname as name,
        c.relrowsecurity and c.relforcerowsecurity as secured,
        exists (select from pg_attribute where attrelid = c.oid and attname = 'tenant_id') as tenants
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any(${schemas}) and c.relkind in ('r', 'p') order by 1, 2`;
  });
  afterAll(() => opened.disposeAsync());

  const named = ({ schema, name }: Table) => `${schema}.${name}`;
  const kept = () => tables.filter(({ tenants }) => tenants);

  it("is on, for owners too, wherever a table has tenants' rows", () => {
    expect(kept().filter(({ secured }) => !secured)).toEqual([]);
    expect(kept().length).toBeGreaterThan(25);
    const others = tables.filter(({ tenants, name }) => !tenants && !ofNobody.includes(name));
    expect(others).toEqual([]);
  });

  it("binds the roles that services work as: they may do little and own nothing", async () => {
    const roles = await owner`
      select rolname as role,
        rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolcanlogin as strong,
        exists (select from pg_class where relowner = r.oid)
          or exists (select from pg_namespace where nspowner = r.oid)
          or exists (select from pg_proc where proowner = r.oid) as owns
      from pg_roles r where rolname = any(${schemas.map(roleOf)}) order by 1`;
    expect(roles).toEqual(
      schemas.map((schema) => ({ role: roleOf(schema), strong: false, owns: false })),
    );
  });

  it("leaves the audit service no way to change what was recorded", async () => {
    const rights = await owner<{ name: string; rights: readonly string[] }[]>`
      select name, array(
        select word from unnest(array['insert', 'update', 'delete', 'truncate']) as word
        where has_table_privilege('soldier_audit', 'audit.' || name, word)
      ) as rights
      from unnest(array['turn_records', 'audit_events', 'chain', 'chain_heads']) as name`;
    expect(Object.fromEntries(rights.map(({ name, rights: has }) => [name, has]))).toEqual({
      turn_records: ["insert"],
      audit_events: ["insert"],
      chain: [],
      chain_heads: [],
    });
    const months = asService.get("audit");
    await expect(months?.unsafe("select add_month('chain', now())")).rejects.toThrow("no months");
  });

  it("keeps each table's rows to their tenant, whatever a statement says", async () => {
    await fill(owner, kept(), "a");
    const empty: string[] = [];
    for (const table of kept()) {
      const sql = poolOf(table);
      // As if somebody had been generous: only the policies are left to hold.
      await owner`grant all on ${owner(named(table))} to ${owner(roleOf(table.schema))}`;
      const name = sql(table.name);
      const every = everyTenantSql(sql);
      const given = sql((await columnsOf(owner, table)).map((column) => column.name));
      const [row] = await every<{ row: Record<string, string> }[]>`
        select to_jsonb(t) as row from ${name} t where tenant_id = 'a'`;
      if (!row) {
        empty.push(named(table));
        continue;
      }
      expect(await tenantSql(sql, "a")`select from ${name}`).not.toHaveLength(0);
      for (const other of [tenantSql(sql, "b"), sql]) {
        expect(await other`select from ${name}`, named(table)).toHaveLength(0);
        expect(await outcome(other`update ${name} set tenant_id = tenant_id`)).toBe("nothing");
        expect(await outcome(other`delete from ${name}`)).toBe("nothing");
        const forged = other`
          insert into ${name} (${given}) overriding system value
          select ${given} from jsonb_populate_record(null::${name}, ${sql.json(row.row)})`;
        await expect(forged, named(table)).rejects.toThrow("row-level security policy for table");
      }
      // The release before works as the owner and sets nothing: it goes on while replicas are replaced.
      const known = await owner`
        select from pg_policies where policyname = 'release_before'
          and schemaname = ${table.schema} and tablename = ${table.name}`;
      const seen = await owner`select from ${owner(named(table))}`;
      expect(known.length === 0 || seen.length > 0, named(table)).toBe(true);
      expect(await every`select from ${name} where tenant_id = 'a'`).not.toHaveLength(0);
    }
    // The months in which nothing was.
    for (const name of empty) expect(name).toMatch(/^audit\.(turn_records|audit_events)_/);
  });
});

/** What a change has done: of records that nobody may change the refusal is the same for all. */
async function outcome(change: Promise<{ readonly count: number }>): Promise<string> {
  try {
    const { count } = await change;
    return count === 0 ? "nothing" : `${count} rows`;
  } catch (error) {
    if (error instanceof Error && error.message.endsWith("is append-only")) return "nothing";
    throw error;
  }
}

/** Values that fit: where one table refers to another, both have the same of the type. */
const values: Readonly<Record<string, string>> = {
  text: "x",
  uuid: "019a0000-0000-7000-8000-000000000001",
  bigint: "1",
  integer: "1",
  smallint: "1",
  boolean: "true",
  bytea: "\\x00000000",
  jsonb: "{}",
  date: "2026-11-20",
  "bigint[]": "{}",
  "public.halfvec": "[1]", // where the server has pgvector
  "text[]": "{}",
  "uuid[]": "{}",
  tstzrange: "[2026-01-01,)",
  "double precision": "1",
};
const another = "019a0000-0000-7000-8000-000000000002";
const special: Readonly<Record<string, string | null>> = {
  "memory.episodes.role": "user",
  "memory.backlog.stage": "embedded",
  "memory.claims.kind": "assert",
  "memory.claims.time_basis": "stated",
  "memory.claims.authority": "user",
  "memory.claims.valid_to": "infinity",
  "memory.fact_versions.valid": "[2026-01-01,)",
  "memory.fact_versions.tx": "[2026-01-01,)",
  "memory.fact_versions.claim_ids": "{x}",
  "memory.fact_versions.reason": "end",
  "memory.fact_versions.superseded_by": "recut",
  "memory.erasures.scope": "customer",
  "memory.parked_claims.why": "ambiguous",
  "memory.tombstones.kind": "customer",
  "memory.summary_inputs.input_summary_id": null,
  "memory.erasure_keys.inner_pad": `\\x${"00".repeat(64)}`,
  "memory.erasure_keys.outer_pad": `\\x${"00".repeat(64)}`,
  "memory.predicates.cardinality": "one",
  "memory.predicates.temporal_kind": "state",
  "profile.field_claims.outcome": "applied",
  "profile.merges.into_id": another,
  "profile.assets.checksum": `\\x${"00".repeat(32)}`,
};

function valueOf(column: string, type: string): string | null {
  const own = special[column];
  return own === undefined ? (values[type] ?? new Date().toISOString()) : own;
}

/** Those that a statement may give a value. */
async function columnsOf(owner: Sql, { schema, name }: Table) {
  return await owner<{ name: string; type: string }[]>`
    select attname as name, format_type(atttypid, null) as type from pg_attribute
    where attrelid = ${`${schema}.${name}`}::regclass and attnum > 0 and not attisdropped
      and attgenerated = ''`;
}

/** A row for the tenant in each table; those that refer to others after them. */
async function fill(owner: Sql, tables: readonly Table[], tenant: string): Promise<void> {
  let left = tables;
  while (left.length > 0) {
    const refused: Table[] = [];
    for (const table of left) {
      const { schema, name } = table;
      const columns = await columnsOf(owner, table);
      const row = Object.fromEntries(
        columns.map((column) => [
          column.name,
          column.name === "tenant_id"
            ? tenant
            : valueOf(`${schema}.${name}.${column.name}`, column.type),
        ]),
      );
      const isMonth = /_\d{4}_\d{2}$|_other$/.test(name);
      if (isMonth) continue; // filled through its parent
      await owner`select set_config('search_path', ${schema}, false)`; // for its triggers
      try {
        const every = everyTenantSql(owner);
        const whole = every(`${schema}.${name}`);
        const given = every(columns.map((column) => column.name));
        const rows =
          `${schema}.${name}` === "profile.customers" ? [row, { ...row, id: another }] : [row];
        await every`
          insert into ${whole} (${given}) overriding system value
          select ${given} from jsonb_populate_recordset(null::${whole}, ${every.json(rows)})
          on conflict do nothing`;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "23503")) throw error;
        refused.push(table);
      }
    }
    if (refused.length === left.length) throw new Error("tables that refer to each other");
    left = refused;
  }
}
