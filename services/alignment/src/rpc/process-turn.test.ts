import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { SessionStatus, TurnOutcome } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { builtInSentence } from "../domain/reply.ts";
import { Desks, reasonOf, shop } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

describe("a turn", () => {
  it("answers by a rule's template, and its record names every step", async () => {
    const desk = await desks.start(shop);
    const said = await desk.say("when do you open?");
    expect(said.reply).toBe("We are open from 9 to 17.");
    expect(said.deltas.join("")).toBe(said.reply);
    expect(said.started).toMatchObject({ turnNumber: 1, turnId: said.completed.turn?.id });
    const { record } = desk.peers;
    expect(record.steps.map(({ name }) => name)).toEqual(
      "receive reconcile extract-context retrieve rerank filter-rules adjudicate-scenario resolve-relations navigate-scenario execute-tools generate enforce commit respond".split(
        " ",
      ),
    );
    expect(record.rules[0]).toMatchObject({ name: "hours", applied: true, eliminatedBy: "" });
    expect(record.rules[1]).toMatchObject({ name: "parking", applied: false });
    expect(record.rules[1]?.distance).toBeGreaterThan(0);
    expect(record.traceId).toBe(said.completed.turn?.traceId);
    expect(desk.peers.commits[0]?.state?.ruleFires["hours"]).toMatchObject({ count: 1 });
  });

  it("goes on in its session, with the turns before it", async () => {
    const desk = await desks.start(shop);
    const { sessionId } = await desk.say("when do you open?");
    const second = await desk.say("and where can I park?", { sessionId });
    expect(second.reply).toBe("Behind the house.");
    expect(second.started).toMatchObject({ sessionId, turnNumber: 2 });
    expect(desk.peers.commits[1]?.expectedVersion).toBe(1n);
  });

  it("says the agent's fallback when nothing applies", async () => {
    const desk = await desks.start(shop);
    expect((await desk.say("zyx")).reply).toBe("Sorry, I did not get that.");
    expect(desk.peers.record.reply).toMatchObject({ source: "fallback", templateId: "sorry" });
  });

  it("says a sentence of its own when the agent has no fallback", async () => {
    const desk = await desks.start({ rules: shop.rules });
    expect((await desk.say("zyx")).reply).toBe(builtInSentence);
    expect(desk.peers.record.reply?.source).toBe("built_in");
  });

  it("is one trace, with a span for each step", async () => {
    const desk = await desks.start(shop);
    const { completed } = await desk.say("when do you open?");
    const spans = desk.mesh.spans().filter(({ name }) => name.startsWith("turn "));
    expect(spans).toHaveLength(14);
    const traces = new Set(spans.map((span) => span.spanContext().traceId));
    expect([...traces]).toEqual([completed.turn?.traceId]);
  });

  it("keeps what customers write out of the log", async () => {
    const desk = await desks.start(shop, { settings: { log: { level: "info" } } });
    await desk.say("my secret is swordfish");
    expect(JSON.stringify(desk.mesh.lines())).not.toContain("swordfish");
  });
});

describe("a message that is refused", () => {
  it.each([
    ["   ", "MESSAGE_EMPTY"],
    ["x".repeat(40_000), "MESSAGE_TOO_LARGE"],
  ])("%#: says why and begins nothing", async (text, reason) => {
    const desk = await desks.start(shop);
    expect(await reasonOf(desk.say(text))).toBe(reason);
    expect(desk.peers.calls.get("beginTurn")).toBeUndefined();
  });
  it("names an agent or a session that does not exist", async () => {
    const desk = await desks.start(shop);
    expect(await reasonOf(desk.say("hi", { agent: "nobody" }))).toBe("AGENT_NOT_FOUND");
    expect(await reasonOf(desk.say("hi", { sessionId: newId() }))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(desk.say("hi", { agent: "" }))).toBe("SESSION_OR_AGENT_NEEDED");
  });
  it("gives the lease back when the turn can't go on", async () => {
    const desk = await desks.start(shop);
    desk.peers.broken.set(
      "commitTurn",
      new Fault("conflict", "no", { reason: "VERSION_CONFLICT" }),
    );
    expect(await reasonOf(desk.say("when do you open?"))).toBe("VERSION_CONFLICT");
    expect(desk.peers.aborted).toHaveLength(1);
    expect(desk.peers.commits).toHaveLength(0);
  });
  it("says that sessions are away", async () => {
    const desk = await desks.start(shop, { settings: { calls: { max_attempts: 1 } } });
    desk.peers.broken.set(
      "beginTurn",
      new Fault("unavailable", "away", { reason: "STORAGE_UNAVAILABLE" }),
    );
    expect(await reasonOf(desk.say("hi"))).toBe("STORAGE_UNAVAILABLE");
  });
});

describe("a message that was sent before", () => {
  it("gets the same answer, and nothing runs again", async () => {
    const desk = await desks.start(shop);
    const first = await desk.say("when do you open?", { idempotencyKey: "k" });
    const again = await desk.say("when do you open?", { idempotencyKey: "k" });
    expect(again.completed.replayed).toBe(true);
    expect(again.completed.turn?.id).toBe(first.completed.turn?.id);
    expect(again.deltas.join("")).toBe(first.reply);
    expect(desk.peers.commits).toHaveLength(1);
  });
  it("is refused when its key said something else", async () => {
    const desk = await desks.start(shop);
    await desk.say("when do you open?", { idempotencyKey: "k" });
    const other = desk.say("where can I park?", { idempotencyKey: "k" });
    expect(await reasonOf(other)).toBe("IDEMPOTENCY_KEY_REUSED");
  });
});

describe("a session that is being answered", () => {
  const withPolicy = (busyPolicy: string, more = {}) => ({
    ...shop,
    agent: { settings: { fallbackTemplateId: "sorry", busyPolicy, ...more } },
  });
  it("lets the next message wait for its turn", async () => {
    const desk = await desks.start(withPolicy("BUSY_POLICY_QUEUE"));
    const { sessionId } = await desk.say("hi");
    const other = desk.peers.occupy(sessionId);
    const waiting = desk.say("when do you open?", { sessionId });
    while ((desk.peers.calls.get("beginTurn") ?? 0) < 3) await new Promise(setImmediate);
    other.release();
    expect((await waiting).reply).toBe("We are open from 9 to 17.");
  });
  it("refuses it when its wait is over", async () => {
    const desk = await desks.start(withPolicy("BUSY_POLICY_QUEUE"), {
      settings: { alignment: { turn_timeout_ms: 100 } },
    });
    const { sessionId } = await desk.say("hi");
    desk.peers.occupy(sessionId);
    expect(await reasonOf(desk.say("hi", { sessionId }))).toBe("SESSION_BUSY");
  });
  it("refuses it at once where the agent says so", async () => {
    const desk = await desks.start(withPolicy("BUSY_POLICY_REJECT"));
    const { sessionId } = await desk.say("hi");
    desk.peers.occupy(sessionId);
    expect(await reasonOf(desk.say("hi", { sessionId }))).toBe("SESSION_BUSY");
  });
  it("gives way to it where the agent says so", async () => {
    const desk = await desks.start(withPolicy("BUSY_POLICY_SUPERSEDE"));
    const { sessionId } = await desk.say("hi");
    desk.peers.occupy(sessionId);
    expect((await desk.say("where can I park?", { sessionId })).reply).toBe("Behind the house.");
  });
  it("stays silent once a person has taken over, but keeps what was said", async () => {
    const desk = await desks.start(shop);
    const { sessionId } = await desk.say("hi");
    const session = desk.peers.sessions.get(sessionId);
    if (session) session.status = SessionStatus.INTERRUPTED;
    const { reply, deltas } = await desk.say("when do you open?", { sessionId });
    expect([reply, deltas]).toEqual(["", []]);
    expect(desk.peers.commits.at(-1)).toMatchObject({ status: SessionStatus.INTERRUPTED });
    const { turn, record } = desk.peers.commits.at(-1) ?? {};
    expect(turn).toMatchObject({
      userText: "when do you open?",
      replyText: "",
      outcome: TurnOutcome.SILENT,
    });
    expect(record?.outcome).toBe("silent");
    expect(record?.modelCalls).toEqual([]);
    expect(record?.toolCalls).toEqual([]);
    expect(record?.steps.find(({ name }) => name === "generate")?.skipped).toBe(
      "the session is in a person's hands",
    );
  });
});

describe("a turn without some of its peers", () => {
  const down = () => new Fault("unavailable", "away", { reason: "STORAGE_UNAVAILABLE" });
  it("goes on without memory and profile, and says so", async () => {
    const desk = await desks.start(shop, { settings: { calls: { max_attempts: 1 } } });
    const { sessionId } = await desk.say("hi");
    desk.peers.broken.set("recall", down());
    desk.peers.broken.set("recallProfile", down());
    const { reply, completed } = await desk.say("when do you open?", { sessionId });
    expect(reply).toBe("We are open from 9 to 17.");
    expect(completed.turn?.outcome).toBe(TurnOutcome.COMPLETED);
    expect(desk.peers.record.degradations).toEqual([
      "retrieve: profile STORAGE_UNAVAILABLE, memory STORAGE_UNAVAILABLE",
    ]);
  });
  it("goes on with the behaviour that it holds while config is away", async () => {
    const desk = await desks.start(shop, {
      settings: { alignment: { bundle_recheck_ms: 1 }, calls: { max_attempts: 1 } },
    });
    const { sessionId } = await desk.say("hi");
    desk.peers.broken.set("streamBundle", down());
    expect((await desk.say("when do you open?", { sessionId })).reply).toBe(
      "We are open from 9 to 17.",
    );
  });
});
