import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { everyTenantSql } from "@soldier/storage/tenant";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { register } from "prom-client";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { oldVectors } from "./old-vectors.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);
const everyMs = 3_600_000;

describeOn("vectors of models that are not set any more", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let nowMs = 0;
  beforeAll(async () => {
    opened = await backend.open();
  });
  beforeEach(() => opened.owner`truncate episodes, embeddings, groups, embedding_models cascade`);
  afterAll(() => opened[Symbol.asyncDispose]());

  /** A process with that embedder, which looks for old vectors once. */
  async function pass(model: string, nextModel?: string, rowsMax = 1_000) {
    const sql = everyTenantSql(opened.sql);
    const monotonicMs = () => (nowMs += everyMs);
    const [episodes] = oldVectors({ sql, model, nextModel, keepDays: 30, monotonicMs });
    return await episodes?.prune(rowsMax);
  }

  async function episode(tenantId: string, ...models: string[]) {
    const [id, { owner: sql }] = [newId(), opened];
    await sql`
      insert into groups (tenant_id, group_id, head, recorded_at) values (${tenantId}, 'g', 100, now())
      on conflict do nothing`;
    await sql`
      insert into episodes (tenant_id, id, group_id, customer_id, agent_id, session_id, turn_id,
        ingest_key, role, text, occurred_at, recorded_at, revision)
      values (${tenantId}, ${id}, 'g', 'g', '', 's', 't', ${id}, 'user', 'hi', now(), now(),
        (select count(*) from episodes))`;
    for (const model of models)
      await sql`
        insert into embeddings (tenant_id, episode_id, model, group_id, revision, dimensions, vector, attempts)
        values (${tenantId}, ${id}, ${model}, 'g', (select count(*) from embeddings), 1, decode('00000000', 'hex'), 1)`;
  }

  const left = async () =>
    (
      await opened.owner<{ name: string }[]>`
        select tenant_id || ' ' || model as name from embeddings order by tenant_id, model`
    ).map(({ name }) => name);
  const later = (days: number) =>
    opened.owner`update embedding_models set last_at = last_at - make_interval(days => ${days})`;
  async function told(model: string) {
    const metric = await register.getSingleMetric("soldier_memory_old_vectors")?.get();
    return metric?.values.find(
      ({ labels: { table, model: of } }) => table === "embeddings" && of === model,
    )?.value;
  }

  it("stay for their time, and then go where there is another, tenant by tenant", async () => {
    await episode("acme", "old", "new");
    await episode("acme", "old", "new");
    await episode("acme", "old");
    await episode("globex", "old", "new");
    await pass("old", "new");
    await later(29);
    expect(await pass("new")).toBe(0);
    expect(await told("old")).toBe(4);
    expect(await left()).toHaveLength(7);
    await later(2);
    expect(await pass("new")).toBe(3);
    expect(await left()).toEqual(["acme new", "acme new", "acme old", "globex new"]);
    expect(await pass("new")).toBe(0);
    expect(await told("old")).toBe(1);
  });

  it("go in batches", async () => {
    for (let i = 0; i < 5; i++) await episode("acme", "old", "new");
    await pass("old");
    await later(31);
    expect([await pass("new", undefined, 2), await left()]).toMatchObject([2, { length: 8 }]);
    expect([await pass("new", undefined, 2), await left()]).toMatchObject([2, { length: 6 }]);
    expect([await pass("new", undefined, 2), await left()]).toMatchObject([1, { length: 5 }]);
  });

  it("stay as long as any process has the model set, now or next, and after a switch back", async () => {
    await episode("acme", "old", "new");
    await pass("old");
    await later(31);
    await pass("new", "old");
    expect(await pass("new")).toBe(0);
    await later(20);
    await pass("old"); // the way back
    await later(20);
    expect(await pass("new")).toBe(0);
    expect(await left()).toEqual(["acme new", "acme old"]);
  });

  it("are not told of any more when nothing is left", async () => {
    await episode("acme", "old", "new");
    await pass("old");
    await later(31);
    await pass("new");
    await pass("new");
    await pass("new");
    expect(await told("old")).toBeUndefined();
    const models = await opened.owner`select model from embedding_models`;
    expect(models).toEqual([{ model: "new" }]);
  });
});
