import { openApi } from "@soldier/cli/api";
import { erase } from "@soldier/cli/erase";
import { removeStreams, testEvents } from "@soldier/events/testing";
import { describeOn, testNats } from "@soldier/storage/testing";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import postgres from "postgres";
import { describe, expect, it } from "vitest";
import { chat, type Desk, openDesk } from "./desk.ts";

const word = "marzipan";

/** Where what customers said may be kept, of every service. */
const schemas = ["memory", "session", "profile", "audit", "config"];

describe("erasing a customer", { timeout: 120_000 }, () => {
  it("leaves no word of it in any table of any service, in one process", async () => {
    await using desk = await openDesk();
    await erasesAll(desk);
  });

  describeOn("over NATS", testNats(), (nats) => {
    it("leaves no word of it in the broker either", async () => {
      await using opened = new AsyncDisposableStack();
      const { url } = opened.use(await nats.open());
      const events = testEvents(url);
      opened.defer(() => removeStreams(events));
      const desk = opened.use(await openDesk({ events }));
      const broker = await connect({ servers: new URL(url).host });
      opened.defer(() => broker.close());
      const manager = await jetstreamManager(broker);
      const kept = async () => {
        const texts: string[] = [];
        for await (const { config, state } of manager.streams.list()) {
          if (!config.name.startsWith(events.root)) continue;
          for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
            const message = await manager.streams
              .getMessage(config.name, { seq })
              .catch(() => null);
            if (message) texts.push(Buffer.from(message.data).toString("latin1"));
          }
        }
        return texts.filter((text) => text.includes(word)).length;
      };
      await erasesAll(desk, async (before) => expect((await kept()) > 0).toBe(before));
    });
  });
});

async function erasesAll(
  desk: Desk,
  alsoLook: (before: boolean) => Promise<void> = async () => {},
): Promise<void> {
  const call = openApi({ ...desk, agent: "shop" });
  const memory = call(MemoryService);
  const said = await chat({ ...desk, body: { agent: "shop", message: `is ${word} delivered?` } });
  expect(said).toMatchObject({ status: 200 });
  const { sessionId, turnId } = said;
  const { session } = await call(SessionService).getSession({ sessionId });
  const customerId = session?.customerId ?? "";
  const search = async () =>
    (await memory.search({ query: word, groupIds: [customerId] })).hits.filter(
      ({ found }) => found.case === "episode" && found.value.text.includes(word),
    );
  await expect.poll(async () => (await search()).length, { timeout: 20_000 }).toBeGreaterThan(0);
  await expect
    .poll(
      () =>
        call(AuditService)
          .getTurnRecord({ turnId })
          .then(
            () => true,
            () => false,
          ),
      {
        timeout: 20_000,
      },
    )
    .toBe(true);
  await alsoLook(true);

  const counted = await erase(call, { customer: customerId, dryRun: true });
  expect(counted).toMatch(/^would be erased: .*1 audit keys.*2 episodes.*1 session turns/);
  expect(await search()).not.toEqual([]);

  const told = await erase(call, { customer: customerId });
  expect(told).toMatch(/^erased: .*2 episodes/);
  expect(told).toMatch(/certificate: [0-9a-f-]{36}$/);
  expect(await search()).toEqual([]);
  await expect(call(SessionService).getSession({ sessionId })).rejects.toMatchObject({
    kind: "not-found",
  });
  await expect(call(ProfileService).getProfile({ customerId })).rejects.toMatchObject({
    kind: "not-found",
  });
  const { record } = await call(AuditService).getTurnRecord({ turnId });
  expect(record).toMatchObject({ personalErased: true, userText: "" });
  expect(await call(AuditService).verifyChain({})).toMatchObject({ intact: true });
  expect(await wordsIn(desk.databaseUrl)).toEqual([]);
  await alsoLook(false);

  const { erasures } = await memory.listErasures({});
  const [first] = erasures.filter(({ askedBy }) => askedBy !== "profile");
  expect(first).toMatchObject({
    scope: "customer",
    scopeId: customerId,
    done: ["memory", "profile", "sessions", "audit", "events", "verified"],
  });
  expect(await erase(call, { customer: customerId })).toMatch(/^erased: nothing/);
  await expect(
    memory.addEpisode({
      episode: {
        ingestKey: `${sessionId}:1:user`,
        customerId,
        role: 1,
        text: word,
      },
    }),
  ).rejects.toMatchObject({ reason: "EPISODE_ERASED" });
}

/** Tables of any service in which a row still says it. */
async function wordsIn(databaseUrl: string): Promise<readonly string[]> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const found: string[] = [];
  try {
    const tables = await sql<{ schema: string; name: string }[]>`
      select table_schema as schema, table_name as name from information_schema.tables
      where table_schema = any(${schemas}) and table_type = 'BASE TABLE'`;
    for (const { schema, name } of tables) {
      const [row] = await sql`
        select from ${sql(schema)}.${sql(name)} t
        where position(${word} in encode(convert_to(t::text, 'UTF8'), 'escape')) > 0
          or position(${Buffer.from(word).toString("hex")} in t::text) > 0
        limit 1`;
      if (row) found.push(`${schema}.${name}`);
    }
  } finally {
    await sql.end();
  }
  return found;
}
