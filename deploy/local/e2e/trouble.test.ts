import { randomUUID } from "node:crypto";
import { overridden } from "@soldier/chassis/settings";
import { removeStreams, testEvents } from "@soldier/events/testing";
import { describeOn, testNats } from "@soldier/storage/testing";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoToken, installDemoAgent } from "../demo.ts";
import { startSevenProcesses } from "../seven-processes.ts";
import {
  type Answered,
  chat,
  type Desk,
  explained,
  openDesk,
  read,
  settings,
  surroundings,
  tokenFor,
} from "./desk.ts";

/** What goes wrong around Soldier, and what customers send, as it is told at the front door. */
describe("a desk in trouble", () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk();
  });
  afterAll(() => desk[Symbol.asyncDispose]());

  const say = async (message: string, more: object = {}, key?: string): Promise<Answered> =>
    chat({
      url: desk.url,
      token: desk.token,
      body: { agent: "shop", message, ...more },
      ...(key && { key }),
    });

  describe("refuses, with a status and a reason that stay the same,", () => {
    const here = { agent: "shop", message: "hello" };
    const nowhere = "00000000-0000-7000-8000-000000000000";
    it.each<[what: string, status: number, reason: string, body: object | string]>([
      ["an agent that nobody has", 404, "AGENT_NOT_FOUND", { ...here, agent: "nobody" }],
      [
        "a session that was never opened",
        404,
        "SESSION_NOT_FOUND",
        { message: "hi", sessionId: nowhere },
      ],
      [
        "a session's name that is none",
        400,
        "VALIDATION_FAILED",
        { message: "hi", sessionId: "x" },
      ],
      ["neither session nor agent", 400, "SESSION_OR_AGENT_NEEDED", { message: "hi" }],
      ["text that is no JSON", 400, "INVALID_JSON", '{"agent": "shop", '],
      ["a number for a text", 400, "INVALID_REQUEST", { ...here, message: 42 }],
      ["a field that there is not", 400, "INVALID_REQUEST", { ...here, massage: "hi" }],
      ["33 KiB", 413, "MESSAGE_TOO_LARGE", { ...here, message: "x".repeat(33 * 1024) }],
      ["no words", 400, "MESSAGE_EMPTY", { ...here, message: "  " }],
      ["no message", 400, "MESSAGE_EMPTY", { agent: "shop" }],
    ])("%s", async (_what, status, reason, body) => {
      expect(await refusal(desk.token, body)).toEqual([status, reason]);
    });

    it("another tenant's session", async () => {
      const { sessionId } = await say("hello");
      const stranger = await tokenFor({ tenant: "other", roles: ["chat", "delegate", "operator"] });
      const told = await refusal(stranger, { message: "hi", sessionId });
      expect(told).toEqual([404, "SESSION_NOT_FOUND"]);
    });

    it.each([
      ["no token", 401, "TOKEN_MISSING", async () => ""],
      ["an old token", 401, "TOKEN_EXPIRED", () => tokenFor({ hours: -1 })],
      ["a forged token", 401, "TOKEN_INVALID", () => tokenFor({ secret: "f".repeat(40) })],
      ["a token for other things", 403, "ROLE_MISSING", () => tokenFor({ roles: ["operator"] })],
    ])("%s", async (_what, status, reason, token) => {
      expect(await refusal(await token(), here)).toEqual([status, reason]);
    });

    async function refusal(token: string, body: object | string): Promise<unknown> {
      const { status, error } = await chat({ url: desk.url, token, body });
      expect(error?.message).toMatch(/\w/);
      return [status, error?.reason];
    }
  });

  it("answers a repeated message with the turn it has had, and not another one by its key", async () => {
    const key = randomUUID();
    const first = await say("hello", {}, key);
    expect(first).toMatchObject({ status: 200, turnNumber: 1, replayed: false });
    const { sessionId, turnId, reply } = first;
    expect(await say("hello", {}, key)).toMatchObject({ sessionId, turnId, reply, replayed: true });
    const other = await say("something else", {}, key);
    expect(other.error?.reason).toBe("IDEMPOTENCY_KEY_REUSED");
    expect(await turnsOf(sessionId)).toHaveLength(1);
  });

  it("answers what comes at once to one session one after the other", async () => {
    const { sessionId } = await say("hello");
    const texts = Array.from({ length: 10 }, (_, n) => `how long does delivery take? (${n})`);
    const answers = await Promise.all(texts.map((text) => say(text, { sessionId })));
    expect(answers.map(({ status }) => status)).toEqual(texts.map(() => 200));
    const numbers = answers.map(({ turnNumber }) => turnNumber).toSorted((a, b) => a - b);
    expect(numbers).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(await turnsOf(sessionId)).toHaveLength(11);
  });

  it("answers in other words while its tools are away, and its record says why", async () => {
    const { sessionId } = await say("hello");
    await desk.backend[Symbol.asyncDispose]();
    const answer = await say("Where is my order L-10425?", { sessionId });
    expect(answer).toMatchObject({
      status: 200,
      reply: expect.stringContaining("does not answer"),
    });
    const calls = async () => (await explained(desk, answer.turnId))?.toolCalls;
    await expect.poll(calls, { timeout: 10_000 }).toMatchObject([
      {
        name: "find_order",
        outcome: "TOOL_CALL_OUTCOME_FAILED",
        reason: expect.stringMatching(/^[A-Z_]+$/),
      },
    ]);
  });

  it("says so while the database is away, writes nothing by halves, and goes on afterwards", async () => {
    const { sessionId } = await say("hello");
    const key = randomUUID();
    desk.link.cut();
    const refused = await say("thanks!", { sessionId }, key);
    expect([refused.status, refused.error?.reason]).toEqual([503, "STORAGE_UNAVAILABLE"]);
    const readiness = await ready();
    expect(readiness.status).toBe(503);
    expect(readiness.broken).toContain("session postgres: PostgreSQL cannot be reached");
    desk.link.mend();
    await expect.poll(async () => (await ready()).status, { timeout: 10_000 }).toBe(200);
    expect(await turnsOf(sessionId)).toHaveLength(1);

    const again = await say("thanks!", { sessionId }, key);
    expect(again).toMatchObject({ status: 200, turnNumber: 2, replayed: false });
    const { turnId } = again;
    expect(await say("thanks!", { sessionId }, key)).toMatchObject({ turnId, replayed: true });
    expect(await turnsOf(sessionId)).toHaveLength(2);
  });

  async function turnsOf(sessionId: string): Promise<readonly object[]> {
    return (await read<{ turns: object[] }>(desk, `/v1/sessions/${sessionId}/turns`)).turns;
  }

  async function ready(): Promise<{ status: number; broken: readonly string[] }> {
    const res = await fetch(`${desk.running.adminUrl}/readyz`);
    const { checks } = (await res.json()) as {
      checks: { service: string; name: string; ready: boolean; reason?: string }[];
    };
    const broken = checks.filter((check) => !check.ready);
    return {
      status: res.status,
      broken: broken.map(({ service, name, reason }) => `${service} ${name}: ${reason}`),
    };
  }
});

it("a desk stops at once, and nothing that was said is lost to those who follow", async () => {
  await using opened = new AsyncDisposableStack();
  const desk = await openDesk();
  const stop = () => desk.running[Symbol.asyncDispose]();
  opened.use(desk);
  const { token, url } = desk;
  const body = { agent: "shop", message: "hello" };
  const answers = await Promise.all([1, 2, 3].map(() => chat({ url, token, body })));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  const before = performance.now();
  await stop();
  expect(performance.now() - before).toBeLessThan(2_000);
  const sql = postgres(desk.databaseUrl, { max: 1 });
  opened.defer(() => sql.end());
  // Each turn has its record, or still waits in the outbox for the next start.
  const [kept] = await sql`
    select (select count(*)::int from audit.turn_records) as records,
      (select count(*)::int from session.outbox where published_at is null) as waiting`;
  expect(kept?.["records"] + kept?.["waiting"]).toBe(3);
});

describeOn("seven processes over NATS", testNats(), (nats) => {
  it("answer without memory, and say why not without alignment", { timeout: 60_000 }, async () => {
    await using opened = new AsyncDisposableStack();
    const { backend, directory, databaseUrl } = await surroundings(opened);
    const events = testEvents(opened.use(await nats.open()).url);
    opened.defer(() => removeStreams(events));
    const ended: string[] = [];
    const mesh = opened.use(
      await startSevenProcesses({
        settings: overridden(settings, { postgres: { url: databaseUrl } }, "the test"),
        logs: directory,
        backendUrl: backend.url,
        freePorts: true,
        ended: (name, how) => ended.push(`${name}: ${how}`),
        env: {
          SOLDIER_ENV: "test",
          SOLDIER_EVENTS__URL: events.url,
          SOLDIER_EVENTS__ROOT: events.root,
          SOLDIER_EMBEDDER__PROVIDER: "deterministic",
        },
      }),
    );
    const { url } = mesh;
    const token = await demoToken(settings);
    await installDemoAgent(url, token);
    const say = () => chat({ url, token, body: { agent: "shop", message: "hello" } });
    const first = await say();
    expect(first).toMatchObject({ status: 200 });

    process.kill(mesh.processes.memory.pid, "SIGKILL");
    await expect.poll(() => ended).toEqual(["memory: SIGKILL"]);
    const forgetful = await say();
    expect(forgetful).toMatchObject({ status: 200, reply: first.reply });
    const degradations = async () =>
      (await explained({ url, token }, forgetful.turnId))?.degradations;
    await expect
      .poll(degradations, { timeout: 10_000 })
      .toEqual([expect.stringMatching(/^retrieve: memory /)]);

    process.kill(mesh.processes.alignment.pid, "SIGKILL");
    await expect.poll(() => ended).toHaveLength(2);
    const { status, error } = await say();
    expect([status, error?.reason]).toEqual([503, "UNAVAILABLE"]);
    expect(error?.message).toBe("a service cannot be reached; try again");
  });
});
