import { silentLog } from "@soldier/kernel/log";
import { newId } from "@soldier/kernel/ids";
import { migrate } from "@soldier/storage/migrate";
import { leftOut, migrateOptional, optionalStatus } from "@soldier/storage/optional-parts";
import { admitRole } from "@soldier/storage/role";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ownSchema } from "../schema.ts";
import { pgliteWithVectors, type PgliteWithVectors } from "./testing-pglite.ts";
import { postgresTenantFinds } from "./postgres-tenant-finds.ts";
import {
  say,
  tenantFindsContract,
  type TenantFindsPlace,
  turned,
} from "./tenant-finds.contract.ts";

// PGlite is compiled when it is opened, beside all other tests.
vi.setConfig({ hookTimeout: 120_000, testTimeout: 60_000 });

const [part] = ownSchema.optional ?? [];
if (!part) throw new Error("the service has no optional part");

const embedders = ["m", "other"].map((model) => ({ model, dimensions: 8 }));
const findsOn = (sql: Sql) =>
  postgresTenantFinds(sql, { embedders, effort: 100, monotonicMs: () => performance.now() });

describeOn("finding in all of a tenant", testPostgres([...ownSchema.migrations]), (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let place: TenantFindsPlace;
  let without: string | undefined;
  beforeAll(async () => {
    opened = await backend.open();
    const { owner, schema, sql } = opened;
    await owner`create extension if not exists vector schema public`.catch(() => {});
    without = await leftOut(owner, part);
    await migrateOptional({ ...ownSchema, schema, sql: owner, log: silentLog });
    place = { sql, finds: findsOn(sql) };
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  it("is not done where the server lacks what it needs, and says so", async () => {
    const { files, without: left } = await optionalStatus(opened.owner, {
      ...ownSchema,
      schema: opened.schema,
    });
    expect(left.map(({ why }) => why)).toEqual(without === undefined ? [] : [without]);
    expect(files.every(({ state }) => state === "applied")).toBe(true);
    expect(await place.finds.ready()).toBe(without === undefined);
  });

  describe("with pgvector", () => {
    beforeEach(({ skip }) => skip(without !== undefined, without));
    tenantFindsContract(() => place);
  });
});

describe("finding in all of a tenant on PGlite", () => {
  let lite: PgliteWithVectors & AsyncDisposable;
  let place: TenantFindsPlace;
  let readyBefore: boolean;
  let before: { readonly tenantId: string; readonly ids: readonly string[] };
  beforeAll(async () => {
    lite = await pgliteWithVectors("memory");
    const { sql, schema } = lite;
    await admitRole(sql, schema);
    await migrate({ sql, schema, folders: ownSchema.migrations });
    await lite.asService();
    const tenantId = newId();
    const ids = await say(sql, tenantId, [{ text: "umbrella", angle: 0.2 }]);
    before = { tenantId, ids };
    readyBefore = await findsOn(sql).ready();
    place = { sql, finds: findsOn(sql) };
    await lite.asOwner();
  });
  afterAll(() => lite[Symbol.asyncDispose]());

  it("waits until an operator has made the extension, and then takes what is there", async () => {
    const { sql, schema } = lite;
    expect(readyBefore).toBe(false);
    expect(await leftOut(sql, part)).toContain('"create extension vector"');
    await migrateOptional({ ...ownSchema, sql, log: silentLog });
    expect((await optionalStatus(sql, ownSchema)).files).toEqual([]);

    await sql`create extension vector`;
    expect(await leftOut(sql, { ...part, version: "99.0.0" })).toContain("alter extension vector");
    const applied: string[] = [];
    const tell = (name: string) => void applied.push(name);
    for (let i = 0; i < 2; i++)
      await migrateOptional({ ...ownSchema, schema, sql, log: silentLog, applied: tell });
    expect(applied).toEqual(["pgvector_0001_tenant_wide.sql", "pgvector_0002_fill.sql"]);

    await lite.asService();
    const question = {
      model: "m",
      happenedBy: undefined,
      recordedBy: undefined,
      exceptSessionId: "",
      wanted: 10,
    };
    const { finds } = place;
    const asked = { ...question, vector: undefined, words: ["umbrellas"] };
    const byWords = await finds.candidates(before.tenantId, asked);
    expect(byWords.episodeIds).toEqual(before.ids);
    const near = { ...question, vector: turned(0), words: [] };
    expect((await finds.candidates(before.tenantId, near)).episodeIds).toEqual(before.ids);
  });

  tenantFindsContract(() => place);

  it("walks an index of the model's own for what is near", async () => {
    const acme = newId();
    const { sql } = lite;
    const rows = Array.from({ length: 120 }, (_, i) => ({ angle: i / 200 }));
    await say(sql, acme, rows);
    await lite.asOwner();
    const indexes = await sql<{ of: string }[]>`
      select indexdef as of from pg_indexes
      where tablename = 'episode_vectors' and indexdef like '%hnsw%'`;
    const models = indexes.map(({ of }) => /WHERE \(model = '(\w+)'/.exec(of)?.[1]);
    expect(new Set(models)).toEqual(new Set(["m", "other"]));
    await sql`analyze episode_vectors`;
    await lite.asService();
    await sql`set enable_sort = off`; // so few would be sorted
    const plan = await tenantSql(sql, acme)`
      explain select episode_id from episode_vectors
      where tenant_id = ${acme} and model = 'm'
      order by vector::halfvec(8) <=> ${[...turned(0)]}::real[]::halfvec(8) limit 5`;
    await sql`reset enable_sort`;
    expect(JSON.stringify(plan)).toContain("episode_vectors_near_");
  });
});
