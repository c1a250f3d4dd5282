import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newEpisode } from "./episode-store.contract.ts";
import { type ErasableStores, erasureStoreContract } from "./erasure-store.contract.ts";
import { keepVectors } from "./keep-vectors.ts";
import { postgresErasureStore } from "./postgres-erasures.ts";
import { postgresFactStore } from "./postgres-facts.ts";
import { postgresStage } from "./postgres-stages.ts";
import { postgresEpisodeStore } from "./postgres.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

describeOn("the erasure store", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let stores: ErasableStores;
  beforeAll(async () => {
    opened = await backend.open();
    stores = {
      episodes: postgresEpisodeStore(opened.sql),
      facts: postgresFactStore(opened.sql),
      erasures: postgresErasureStore(opened.sql),
    };
  });
  afterAll(() => opened[Symbol.asyncDispose]());
  erasureStoreContract(() => stores);

  const tables = [
    "episodes",
    "embeddings",
    "backlog",
    "extractions",
    "claims",
    "fact_versions",
    "entities",
    "parked_claims",
    "summaries",
    "summary_inputs",
    "tombstones",
    "erasures",
  ];

  it("has no word of it in any table", async () => {
    const { owner: sql } = opened;
    const acme = newId();
    const said = newEpisode({ groupId: "g", text: "my sesame allergy", ingestKey: "sesame:1" });
    await stores.episodes.add(acme, [said]);
    const scope = { kind: "episode", episodeId: said.id } as const;
    const about = { customerIds: [], sessionId: "", turnId: "", role: "" };
    const erasure = await stores.erasures.begin(acme, scope, about, "op", 0);
    await stores.erasures.eraseGroup(erasure, "g", true);
    for (const table of tables) {
      const rows = await sql`select t::text as row from ${sql(table)} t where tenant_id = ${acme}`;
      expect(JSON.stringify(rows)).not.toMatch(/sesame/);
    }
    const [tombstone] = await sql`select * from tombstones where tenant_id = ${acme}`;
    expect(tombstone).toMatchObject({ kind: "episode", erasure_id: erasure.id });
  });

  it("drops what a worker has in hand when its episode is erased", async () => {
    const acme = newId();
    const [said, other] = [newEpisode({ groupId: "g" }), newEpisode({ groupId: "g" })];
    await stores.episodes.add(acme, [said, other]);
    const scope = { kind: "episode", episodeId: said.id } as const;
    const about = { customerIds: [], sessionId: "", turnId: "", role: "" };
    const backlog = postgresStage(opened.sql, "embedded", keepVectors("m"));
    await backlog.next(1_000, 60_000, async (due) => {
      const erasure = await stores.erasures.begin(acme, scope, about, "op", 0);
      await stores.erasures.eraseGroup(erasure, "g", true);
      return due.map(() => ({ kind: "done", value: Float32Array.of(1, 0) }) as const);
    });
    const { owner: sql } = opened;
    const rows = await sql`select episode_id from embeddings where tenant_id = ${acme}`;
    expect(rows.map((row) => row["episode_id"])).toEqual([other.id]);
  });
});
