import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import { startExampleBackend } from "@soldier/examples/backend";
import { newEvent } from "@soldier/events/event";
import { testEvents } from "@soldier/events/testing";
import { addToOutbox } from "@soldier/events/outbox";
import { turnCommittedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { TurnCommittedSchema } from "@soldier/proto/events/v1/events";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { testDatabase } from "@soldier/storage/testing";
import { register } from "prom-client";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoToken, installDemoAgent } from "../demo.ts";
import { services } from "../services.ts";
import { type Answered, chat, settings } from "./desk.ts";

interface Told {
  readonly [field: string]: unknown;
  readonly error?: { reason: string; message: string };
  readonly nextPageToken?: string;
  readonly damagedRows?: readonly { table: string; id: string; message: string }[];
}

const [embedded] = testDatabase();
if (!embedded) throw new Error("the embedded PostgreSQL is always there");

/** Bytes that were cut off or come from elsewhere end in an error that says what to do, or in a dead letter. */
describe("damage in what is stored", () => {
  const opened = new AsyncDisposableStack();
  let mesh: TestMesh;
  let sql: Sql;
  let url: string;
  let token: string;
  beforeAll(async () => {
    const database = opened.use(await embedded.open());
    sql = postgres(database.url, { max: 2, onnotice: () => {} });
    opened.defer(() => sql.end());
    const backend = opened.use(await startExampleBackend({ port: 0 }));
    const events = testEvents("inproc://damage?consumers=audit,memory,profile");
    mesh = opened.use(
      await runForTest(services, {
        settings: {
          postgres: { ...database.settings, max_connections: 4 },
          events: { ...events },
          embedder: { provider: "deterministic" },
          alignment: {
            tools: { allowed_private_hosts: [new URL(backend.url).host] },
            tool_settings: { example_backend: backend.url },
          },
        },
      }),
    );
    url = mesh.url ?? "";
    token = await demoToken(settings);
    await installDemoAgent(url, token);
  });
  afterAll(() => opened.disposeAsync());

  const say = (message: string, more: object = {}): Promise<Answered> =>
    chat({ url, token, body: { agent: "shop", message, ...more }, key: randomUUID() });
  const get = async (path: string): Promise<Told & { readonly status: number }> => {
    const res = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
    const body = (await res.json()) as Told; // the contract under test
    return { ...body, status: res.status };
  };
  /** The line about it in the log, which is for whoever is called at night. */
  const logged = (text: string) =>
    mesh.lines().filter((line) => line["level"] === "error" && JSON.stringify(line).includes(text));

  async function expectDamage(
    told: { status: number; error?: { reason: string; message: string } | undefined },
    table: string,
    id: string,
  ) {
    expect([told.status, told.error?.reason]).toEqual([500, "ROW_DAMAGED"]);
    expect(told.error?.message).toContain(`what is stored in ${table} for ${id}`);
    expect(told.error?.message).toContain("restore that row from a backup");
    expect(logged(`what is stored in ${table} for ${id}`).length).toBeGreaterThan(0);
    expect(await say("hello")).toMatchObject({ status: 200 }); // nobody else is in trouble
  }

  /** The page has what else there is, and says what it lacks; so does the log. */
  async function expectLeftOut(path: string, items: string, table: string, id: string) {
    const page = await get(path);
    expect(page.status).toBe(200);
    expect(page.damagedRows).toMatchObject([{ table, id }]);
    const text = `what is stored in ${table} for ${id}`;
    expect(page.damagedRows?.[0]?.message).toContain(text);
    const lines = logged(text).filter((line) => line["table"] === table && line["id"] === id);
    expect(lines.length).toBeGreaterThan(0);
    const metric = await register.getSingleMetric("soldier_damaged_rows_total")?.get();
    const counts = metric?.values.filter(({ labels }) => labels["table"] === table);
    expect(counts?.[0]?.value).toBeGreaterThan(0);
    return page[items] as readonly { id: string; number?: number }[] | undefined; // by the same contract
  }

  it("of a session's state is told by the session's name", async () => {
    const { sessionId } = await say("hello");
    for (const state of ["", "0aff"]) {
      await sql`update session.sessions set state = decode(${state}, 'hex') where id = ${sessionId}`;
      await expectDamage(await say("thanks!", { sessionId }), "session.sessions", sessionId);
    }
    await expectDamage(await get(`/v1/sessions/${sessionId}`), "session.sessions", sessionId);
    const others = await expectLeftOut("/v1/sessions", "sessions", "session.sessions", sessionId);
    expect(others?.length).toBeGreaterThan(0);
    const first = await get("/v1/sessions?pageSize=1");
    const rest = await get(`/v1/sessions?pageSize=100&pageToken=${first.nextPageToken}`);
    const listed = [first, rest].flatMap((page) => [
      ...((page["sessions"] as { id: string }[] | undefined) ?? []),
      ...(page.damagedRows ?? []),
    ]);
    expect(listed.map(({ id }) => id).toSorted()).toEqual(
      (await sql`select id from session.sessions order by id`).map(({ id }) => id),
    );
    const [row] = await sql`select turn_count from session.sessions where id = ${sessionId}`;
    expect(row).toEqual({ turn_count: 1 });
  });

  it("of a turn is told by its session's name", async () => {
    const { sessionId } = await say("hello");
    await say("hello again", { sessionId });
    await sql`update session.turns set turn = substring(turn for octet_length(turn) - 3)
              where session_id = ${sessionId} and number = 1`;
    await expectDamage(await say("thanks!", { sessionId }), "session.turns", sessionId);
    const path = `/v1/sessions/${sessionId}/turns`;
    const left = await expectLeftOut(path, "turns", "session.turns", sessionId);
    expect(left).toMatchObject([{ number: 2 }]);
  });

  it("of a record is told by its turn's name, and by the chain", async () => {
    const { turnId, sessionId } = await say("hello");
    await say("hello again", { sessionId });
    const recorded = () => sql`select from audit.turn_records where session_id = ${sessionId}`;
    await expect.poll(recorded, { timeout: 10_000 }).toHaveLength(2);
    const [part] = await sql<{ name: string }[]>`
      select tableoid::regclass::text as name from audit.turn_records where turn_id = ${turnId}`;
    const table = sql(part?.name ?? "");
    for (const name of ["audit.turn_records", part?.name ?? ""])
      await sql`alter table ${sql(name)} disable trigger user`;
    await sql`update ${table} set record = substring(record for octet_length(record) - 1)
              where turn_id = ${turnId}`;
    await expectDamage(await get(`/v1/turns/${turnId}/record`), "audit.turn_records", turnId);
    const path = `/v1/turn-records?sessionId=${sessionId}`;
    const left = await expectLeftOut(path, "records", "audit.turn_records", turnId);
    expect(left).toHaveLength(1);
    await sql`update ${table} set record = '', personal = decode('00112233', 'hex') where turn_id = ${turnId}`;
    await expectDamage(await get(`/v1/turns/${turnId}/record`), "audit.turn_records", turnId);
    // Out of the way of other tests.
    await sql`delete from ${table} where turn_id = ${turnId}`;
    for (const name of ["audit.turn_records", part?.name ?? ""])
      await sql`alter table ${sql(name)} enable trigger user`;
  });

  it("of a draft's rule is told by the rule's name, and turns go on with what is published", async () => {
    const [rule] = await sql<{ id: string; body: Uint8Array }[]>`
      select id, body from config.resources where kind = 'rules' limit 1`;
    if (!rule) throw new Error("the example has rules");
    await sql`update config.resources set body = decode('ffff', 'hex') where id = ${rule.id}`;
    const path = "/v1/agents/shop/rules";
    const left = await expectLeftOut(path, "rules", "config.resources", rule.id);
    expect(left?.length).toBeGreaterThan(0);
    await expectDamage(await get(`${path}/${rule.id}`), "config.resources", rule.id);
    // What must be whole is refused: a version without that rule would be another agent.
    await expectDamage(await get("/v1/agents/shop/export"), "config.resources", rule.id);
    await sql`update config.resources set body = ${rule.body} where id = ${rule.id}`;
    expect((await get("/v1/agents/shop/rules")).status).toBe(200);
  });

  it("of a published version is told by the version, by those who have not got it yet", async () => {
    const [agent] = await sql<{ id: string; version: string; bundle: Uint8Array }[]>`
      select agent_id as id, version, bundle from config.agent_versions order by version desc limit 1`;
    if (!agent) throw new Error("the example is published");
    await sql`insert into config.agents select tenant_id, gen_random_uuid(), 'damaged', body, etag, revision,
                published_version, published_at, created_at, updated_at from config.agents limit 1`;
    await sql`insert into config.agent_versions (tenant_id, agent_id, version, content_hash, embedding_model,
                revision, bundle, comment, published_by, published_at)
              select v.tenant_id, d.id, v.version, v.content_hash, v.embedding_model, v.revision,
                substring(v.bundle for octet_length(v.bundle) / 2), v.comment, v.published_by, v.published_at
              from config.agent_versions v, config.agents d where d.slug = 'damaged'`;
    const told = await chat({ url, token, body: { agent: "damaged", message: "hello" } });
    expect([told.status, told.error?.reason]).toEqual([500, "BUNDLE_DAMAGED"]);
    expect(told.error?.message).toContain("publish the agent again");
    expect(await say("hello")).toMatchObject({ status: 200 });
  });

  describe("of an event", () => {
    const committed = (more: object = {}) => {
      const turn = {
        id: newId(),
        sessionId: newId(),
        number: 1,
        userText: "hi",
        replyText: "hello",
        receivedAt: timestampFromDate(new Date()),
      };
      const head = { tenantId: "demo", agentId: newId(), customerId: newId() };
      return { ...head, turn: { ...turn, ...more } };
    };
    /** Told as session tells it: by the outbox. */
    async function told(payload: Uint8Array): Promise<string> {
      const event = newEvent(turnCommittedTopic, "demo", {}, new Date());
      await sql.begin(async (tx) => {
        await tx`select set_config('search_path', 'session', true)`;
        await addToOutbox(tx, [{ ...event, payload }]);
      });
      return event.id;
    }
    const letters = (id: string) => sql<{ consumer: string; reason: string; attempts: number }[]>`
      select consumer, reason, attempts from audit.dead_letters where event_id = ${id}
      union all select consumer, reason, attempts from memory.dead_letters where event_id = ${id}
      union all select consumer, reason, attempts from profile.dead_letters where event_id = ${id}
      order by consumer`;

    it("ends in dead letters that say why, at once, and stops no other event", async () => {
      const whole = toBinary(TurnCommittedSchema, create(TurnCommittedSchema, committed()));
      const id = await told(whole.subarray(0, whole.length - 5));
      await expect.poll(() => letters(id), { timeout: 10_000 }).toHaveLength(3);
      for (const letter of await letters(id))
        expect(letter).toMatchObject({
          attempts: 1,
          reason: expect.stringContaining(`event ${id} on turn.committed is no soldier.events.v1`),
        });
      expect(logged(id).length).toBeGreaterThan(0);
      const { turnId } = await say("hello");
      const recorded = () => sql`select from audit.turn_records where turn_id = ${turnId}`;
      await expect.poll(recorded, { timeout: 10_000 }).toHaveLength(1);
    });

    it("goes with the next erasure of its tenant, since it may be of whoever is erased", async () => {
      const whole = toBinary(TurnCommittedSchema, create(TurnCommittedSchema, committed()));
      const id = await told(whole.subarray(0, whole.length - 5));
      await expect.poll(() => letters(id), { timeout: 10_000 }).toHaveLength(3);
      const other = await sql`
        insert into audit.dead_letters (consumer, event_id, tenant_id, topic, payload, occurred_at, attempts, reason)
        select consumer, gen_random_uuid(), 'another', topic, payload, occurred_at, attempts, reason
        from audit.dead_letters where event_id = ${id} returning event_id`;
      const as = mesh.as(testIdentity({ tenantId: "demo", roles: ["operator", "chat"] }));
      const who = { channel: Channel.API, externalId: newId() };
      const { profile } = await as(ProfileService).getOrCreateProfile(who);
      const scope = { case: "customerId", value: profile?.id ?? "" } as const;
      const begun = await as(MemoryService).erase({ scope });
      const erasureId = begun.erasure?.id ?? ""; // finished, or put off while the event is on its way
      const erasure = async () => (await as(MemoryService).getErasure({ erasureId })).erasure;
      const finished = async () => (await erasure())?.finishedAt;
      await expect.poll(finished, { timeout: 20_000 }).toBeDefined();
      expect(await letters(id)).toEqual([]);
      expect(await letters(String(other[0]?.["event_id"]))).toHaveLength(1);
      const erased = (await erasure())?.erased ?? {};
      for (const whose of ["", "audit_", "profile_"])
        expect(erased[`${whose}unreadable_letters`]).toBeGreaterThan(0n);
    });

    it("is none when a newer release has put more into it than this one knows", async () => {
      const message = create(TurnCommittedSchema, committed({ outcome: 99 }));
      const unknown = Buffer.from([0xfa, 0xff, 0x0f, 3, 1, 2, 3]); // field 32767, three bytes
      const id = await told(Buffer.concat([toBinary(TurnCommittedSchema, message), unknown]));
      const turnId = message.turn?.id ?? "";
      const recorded = () => sql<{ record: Uint8Array }[]>`
        select record from audit.turn_records where turn_id = ${turnId}`;
      await expect.poll(recorded, { timeout: 10_000 }).toHaveLength(1);
      const remembered = () => sql`
        select from memory.episodes where session_id = ${message.turn?.sessionId ?? ""}`;
      await expect.poll(remembered, { timeout: 10_000 }).toHaveLength(2);
      expect(await letters(id)).toEqual([]);
    });
  });
});
