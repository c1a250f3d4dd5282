import { create } from "@bufbuild/protobuf";
import { timestampFromDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { outboxMigrations } from "@soldier/events/outbox";
import { newId } from "@soldier/kernel/ids";
import { AgentSchema } from "@soldier/proto/config/v1/agent";
import { AgentVersionSchema } from "@soldier/proto/config/v1/bundle";
import { VariableLevel, VariableValueSchema } from "@soldier/proto/config/v1/template";
import { everyTenantSql } from "@soldier/storage/tenant";
import { describeOn, testPostgres, type TestPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ConfigStore } from "./config-store.ts";
import { postgresConfigStore } from "./postgres.ts";
import { type ConfigKeeping, prunableConfig } from "./prune.ts";

const migrations = [new URL("../../migrations/", import.meta.url), outboxMigrations];
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

describeOn("what config need not keep", testPostgres(migrations), (backend) => {
  const opened = new AsyncDisposableStack();
  let place: TestPostgres;
  let store: ConfigStore;
  beforeAll(async () => {
    place = opened.use(await backend.open());
    store = postgresConfigStore(place.sql);
  });
  afterAll(() => opened.disposeAsync());

  /** An agent with versions from 1 on, published so many days ago. */
  async function published(...days: readonly number[]) {
    const tenantId = newId();
    const agent = create(AgentSchema, { id: newId(), slug: newId(), name: "An agent" });
    await store.edit(tenantId, agent.slug, () => ({
      agent,
      written: [],
      removed: [],
      events: [],
      at: new Date(),
      result: undefined,
    }));
    for (const [i, ago] of days.entries())
      await store.publish(tenantId, agent.id, () => ({
        publication: {
          version: create(AgentVersionSchema, {
            version: BigInt(i + 1),
            publishedAt: timestampFromDate(daysAgo(ago)),
          }),
          embeddingModel: "model",
          draftEtag: "1",
          bundle: Uint8Array.of(1),
          events: [],
        },
        result: undefined,
      }));
    return { tenantId, agentId: agent.id };
  }

  async function prune(keeping: ConfigKeeping, rowsMax = 100): Promise<unknown> {
    const counts: Record<string, number> = {};
    for (const one of prunableConfig(everyTenantSql(place.sql), keeping))
      counts[one.table] = await one.prune(rowsMax);
    return counts;
  }

  const versionsOf = async ({ tenantId, agentId }: { tenantId: string; agentId: string }) =>
    (await store.versions(tenantId, agentId, { after: undefined, limit: 100 })).map(({ version }) =>
      Number(version),
    );

  it("is all but the latest versions of each agent, when they are old enough, and the live one", async () => {
    const [many, few, live] = [
      await published(50, 40, 35, 20, 10),
      await published(90, 80),
      await published(50, 40, 35),
    ];
    await place.owner`update agents set published_version = 1 where id = ${live.agentId}`;
    expect(await prune({ versions: 0, versionDays: 0 })).toMatchObject({ agent_versions: 0 });
    // Of many the fourth from the end is 40 days old, of live the first is 50, and it is live.
    expect(await prune({ versions: 2, versionDays: 38 }, 1)).toMatchObject({ agent_versions: 1 });
    expect(await prune({ versions: 2, versionDays: 38 })).toMatchObject({ agent_versions: 1 });
    expect(await versionsOf(many)).toEqual([5, 4, 3]);
    expect(await versionsOf(few)).toEqual([2, 1]);
    expect(await versionsOf(live)).toEqual([3, 2, 1]);
  });

  it("is values a day after they have expired", async () => {
    const { tenantId, agentId } = await published();
    for (const [key, expiresAt] of [
      ["long ago", daysAgo(2)],
      ["just now", daysAgo(0.5)],
      ["not yet", daysAgo(-2)],
      ["never", undefined],
    ] as const)
      await store.setValue(
        tenantId,
        agentId,
        create(VariableValueSchema, {
          variable: "hours",
          level: VariableLevel.GROUP,
          key,
          value: create(ValueSchema, { kind: { case: "stringValue", value: "9-5" } }),
          ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
        }),
        { at: daysAgo(3), ownerMaxBytes: 10_000, events: [] },
      );
    expect(await prune({ versions: 0, versionDays: 0 })).toMatchObject({ variable_values: 1 });
    const left = await store.values(
      tenantId,
      agentId,
      { variable: "" },
      { after: undefined, limit: 10 },
    );
    expect(left.map(({ key }) => key).toSorted()).toEqual(["just now", "never", "not yet"]);
  });
});
