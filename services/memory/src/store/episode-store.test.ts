import { inboxMigrations } from "@soldier/events/inbox";
import {
  type Backend,
  describeOn,
  type TestPostgres,
  testPostgres,
} from "@soldier/storage/testing";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { embeddingBacklogContract } from "./embedding-backlog.contract.ts";
import { type EpisodeStores, episodeStoreContract } from "./episode-store.contract.ts";
import { postgresEmbeddingBacklog } from "./postgres-backlog.ts";
import { postgresEpisodeStore } from "./postgres.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

describeOn("the episode store", backends, (backend) => {
  let opened: EpisodeStores & AsyncDisposable;
  beforeAll(async () => {
    opened = await open(backend);
  });
  afterAll(() => opened[Symbol.asyncDispose]());
  episodeStoreContract(() => opened);
});

describeOn("the embedding backlog", backends, (backend) => {
  let opened: EpisodeStores & AsyncDisposable;
  beforeEach(async () => {
    opened = await open(backend);
  });
  afterEach(() => opened[Symbol.asyncDispose]());
  embeddingBacklogContract(() => opened);
});

async function open(backend: Backend<TestPostgres>): Promise<EpisodeStores & AsyncDisposable> {
  const opened = await backend.open();
  return {
    episodes: postgresEpisodeStore(opened.sql),
    backlog: postgresEmbeddingBacklog(opened.sql),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
