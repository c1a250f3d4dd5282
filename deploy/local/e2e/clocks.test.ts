import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { overridden } from "@soldier/chassis/settings";
import { removeStreams, testEvents } from "@soldier/events/testing";
import { describeOn, testNats } from "@soldier/storage/testing";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { demoToken, installDemoAgent } from "../demo.ts";
import { type Name, startSevenProcesses } from "../seven-processes.ts";
import { type Answered, chat, read, settings, surroundings } from "./desk.ts";

const minutes = 60_000;

/** How far each clock is ahead of this machine's. Session's runs backwards besides. */
const skews: Readonly<Record<Name, number>> = {
  "chat-gateway": 0,
  alignment: 10 * minutes,
  config: -10 * minutes,
  session: 10 * minutes,
  memory: -10 * minutes,
  profile: 10 * minutes,
  audit: -10 * minutes,
};

describeOn("services whose clocks are 20 minutes apart", testNats(), (nats) => {
  const opened = new AsyncDisposableStack();
  let sql: Sql;
  let url: string;
  let token: string;
  beforeAll(async () => {
    const { backend, directory, databaseUrl } = await surroundings(opened);
    const events = testEvents(opened.use(await nats.open()).url);
    opened.defer(() => removeStreams(events));
    sql = postgres(databaseUrl, { max: 1 });
    opened.defer(() => sql.end());
    const mesh = opened.use(
      await startSevenProcesses({
        settings: overridden(settings, { postgres: { url: databaseUrl } }, "the test"),
        logs: directory,
        backendUrl: backend.url,
        freePorts: true,
        ended: () => {},
        env: {
          SOLDIER_ENV: "test",
          SOLDIER_EVENTS__URL: events.url,
          SOLDIER_EVENTS__ROOT: events.root,
          SOLDIER_EMBEDDER__PROVIDER: "deterministic",
          NODE_OPTIONS: `--import=${join(import.meta.dirname, "another-clock.ts")}`,
        },
        envOf: (name) => ({
          CLOCK_SKEW_MS: String(skews[name]),
          CLOCK_RATE: name === "session" ? "-1" : "1",
        }),
      }),
    );
    ({ url } = mesh);
    token = await demoToken(settings);
    await installDemoAgent(url, token);
  });
  afterAll(() => opened.disposeAsync());

  const say = (message: string, more: object = {}, key: string = randomUUID()): Promise<Answered> =>
    chat({ url, token, body: { agent: "shop", message, ...more }, key });

  it("answer each message once, number turns as they came, and keep all of them", async () => {
    const first = await say("hello");
    expect(first).toMatchObject({ status: 200, turnNumber: 1 });
    const { sessionId } = first;
    const turnIds = [first.turnId];
    for (const text of ["how long does delivery take?", "thanks!", "goodbye"]) {
      const key = randomUUID();
      const answer = await say(text, { sessionId }, key);
      expect(answer).toMatchObject({ status: 200, replayed: false });
      const again = await say(text, { sessionId }, key);
      expect(again).toMatchObject({ status: 200, replayed: true, turnId: answer.turnId });
      turnIds.push(answer.turnId);
    }
    const { turns } = await read<{ turns: readonly { id: string; number: number }[] }>(
      { url, token },
      `/v1/sessions/${sessionId}/turns`,
    );
    expect(turns.map(({ number }) => number).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);

    // Records are in the order in which their messages came, by one clock.
    const recorded = () => sql<{ id: string }[]>`
      select turn_id as id from audit.turn_records where session_id = ${sessionId}
      order by received_at`;
    await expect.poll(recorded, { timeout: 10_000 }).toHaveLength(turnIds.length);
    expect((await recorded()).map(({ id }) => id)).toEqual(turnIds);
    const remembered = () => sql`
      select from memory.episodes where session_id = ${sessionId}`;
    await expect.poll(remembered, { timeout: 10_000 }).toHaveLength(2 * turnIds.length);
  });

  it("tell what they have done once, and take back what is late by the database's clock", async () => {
    await say("hello");
    const waiting = async () => {
      const [row] = await sql`
        select count(*) filter (where published_at is null)::int as waiting,
          count(*) filter (where abs(extract(epoch from now() - published_at)) > 60)::int as wrong,
          count(*) > 0 as kept
        from session.outbox`;
      return row;
    };
    await expect.poll(waiting, { timeout: 10_000 }).toEqual({ waiting: 0, wrong: 0, kept: true });
  });

  it("have one lease at a time, which ends when it should", async () => {
    const { sessionId } = await say("hello");
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => say(`how long does delivery take? (${n})`, { sessionId })),
    );
    const numbers = answers.map(({ turnNumber }) => turnNumber).toSorted((a, b) => a - b);
    expect(numbers).toEqual([2, 3, 4, 5]);
    // A turn of a process that died: nobody gives its lease back.
    await sql`
      update session.sessions set lease_turn_id = ${randomUUID()}, lease_token = lease_token + 1,
        lease_expires_at = now() + interval '1 second' where id = ${sessionId}`;
    const before = performance.now();
    const answer = await say("thanks!", { sessionId });
    expect(answer).toMatchObject({ status: 200, turnNumber: 6 });
    const waitedMs = performance.now() - before;
    expect(waitedMs).toBeGreaterThan(300);
    expect(waitedMs).toBeLessThan(10_000);
  });

  it("have an audit chain that holds", async () => {
    await say("hello");
    const verified = async () => {
      const res = await fetch(`${url}/v1/audit:verify`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: "{}",
      });
      return ((await res.json()) as { intact?: boolean }).intact; // the contract under test
    };
    await expect.poll(verified, { timeout: 10_000 }).toBe(true);
  });
});
