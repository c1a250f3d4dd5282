import { overridden } from "@soldier/chassis/settings";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoToken } from "../demo.ts";
import { startOneProcess } from "../one-process.ts";
import { read, settings, surroundings } from "./desk.ts";

interface Relationship {
  readonly depth: number;
  readonly subject: { readonly id: string; readonly name: string };
  readonly object: { readonly id: string };
}

/** What an operator does with curl. */
describe("memory, asked over HTTP", { timeout: 60_000 }, () => {
  const opened = new AsyncDisposableStack();
  const desk = { url: "", token: "" };

  beforeAll(async () => {
    const around = await surroundings(opened);
    const test = {
      postgres: { url: around.databaseUrl },
      server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } },
      embedder: { provider: "deterministic" },
    };
    const running = opened.use(
      await startOneProcess({
        settings: overridden(settings, test, "the test"),
        directory: around.directory,
        backendUrl: "http://127.0.0.1:9", // nothing here calls it
      }),
    );
    desk.url = running.url ?? "";
    desk.token = await demoToken(settings);
    await post("/v1/memory/entities", {
      entities: [{ id: "ana", group_id: "g", type: "person", name: "Ana" }],
    });
    await post("/v1/memory/claims", {
      claims: [
        { ...known("ana", "ben"), attributes: { since: 2019 } },
        known("ben", "zoe"),
        { ...known("zoe", "kim"), valid_to: "2021-01-01T00:00:00Z" },
      ],
    });
  }, 60_000);
  afterAll(() => opened.disposeAsync());

  const known = (subject: string, object: string) => ({
    group_id: "g",
    kind: "CLAIM_KIND_ASSERT",
    subject,
    predicate: "knows",
    object,
    valid_from: "2020-01-01T00:00:00Z",
  });

  async function post<T>(path: string, body: object): Promise<T> {
    const res = await fetch(desk.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${desk.token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await res.json()) as T; // the contract under test
  }

  async function walk(query: string) {
    const path = `/v1/memory/entities/ana/relationships?${query}`;
    const { relationships } = await read<{ relationships: readonly Relationship[] }>(desk, path);
    return relationships.map(({ subject, object, depth }) => [
      subject.name || subject.id,
      object.id,
      depth,
    ]);
  }

  it("walks from an entity, as far and as of when the query says", async () => {
    const near = [
      ["Ana", "ben", 1],
      ["ben", "zoe", 2],
    ];
    expect(await walk("")).toEqual(near);
    expect(await walk("depth_max=1")).toEqual(near.slice(0, 1));
    expect(await walk("depth_max=5&as_of.valid=2020-06-01T00:00:00Z")).toEqual([
      ...near,
      ["zoe", "kim", 3],
    ]);
    expect(await read(desk, "/v1/memory/entities/nobody/relationships")).toMatchObject({
      error: { reason: "ENTITY_NOT_FOUND" },
    });
  });

  it("orders entities, filters facts by attributes, and looks in every group", async () => {
    const ranked = await post("/v1/memory/entities:rank", {
      group_id: "g",
      entity_ids: ["zoe", "ben", "kim"],
      near_entity_id: "ana",
    });
    expect(ranked).toMatchObject({
      entities: [{ entityId: "ben", distance: 1 }, { entityId: "zoe" }, { entityId: "kim" }],
    });
    const filtered = await post("/v1/memory/facts:query", {
      group_ids: ["g"],
      attributes: [{ name: "since", comparison: "COMPARISON_LESS", value: 2020 }],
    });
    expect(filtered).toMatchObject({ facts: [{ object: "ben", attributes: { since: 2019 } }] });
    const everywhere = { query: "whom does Ana know?", every_group: true, facts_max: 5 };
    await post("/v1/memory/episodes", {
      group_id: "g",
      customer_id: "g",
      ingest_key: "k",
      role: "EPISODE_ROLE_USER",
      text: "Ana knows everybody",
    });
    const { hits } = await post<{ hits: readonly { text?: string }[] }>(
      "/v1/memory:search",
      everywhere,
    );
    expect(hits.map(({ text }) => text)).toContain("Ana knows ben");
  });
});
