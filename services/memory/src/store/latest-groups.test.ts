import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newEpisode } from "./episode-store.contract.ts";
import { latestGroups } from "./latest-groups.ts";
import { postgresEpisodeStore } from "./postgres.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

describeOn("the groups that a tenant's search looks in", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  beforeAll(async () => {
    opened = await backend.open();
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  it("are the latest, as many as may be, and at least one", async () => {
    const [acme, globex] = [newId(), newId()];
    const store = postgresEpisodeStore(opened.sql);
    for (const [groupId, episodes] of [
      ["old", 2],
      ["middle", 3],
      ["new", 4],
    ] as const)
      for (let i = 0; i < episodes; i++) await store.add(acme, [newEpisode({ groupId })]);
    await store.add(globex, [newEpisode({ groupId: "else" })]);
    const found = (groupsMax: number, changesMax: number) =>
      latestGroups(opened.sql, { groupsMax, changesMax })(acme);
    expect(await found(10, 100)).toEqual({ groupIds: ["new", "middle", "old"], partial: false });
    expect(await found(2, 100)).toEqual({ groupIds: ["new", "middle"], partial: true });
    expect(await found(10, 7)).toEqual({ groupIds: ["new", "middle"], partial: true });
    expect(await found(10, 1)).toEqual({ groupIds: ["new"], partial: true });
    expect(await latestGroups(opened.sql, { groupsMax: 1, changesMax: 1 })(newId())).toEqual({
      groupIds: [],
      partial: false,
    });
  });
});
