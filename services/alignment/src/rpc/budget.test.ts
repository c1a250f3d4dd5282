import { Channel } from "@soldier/proto/common/v1/resource";
import { ReplySource } from "@soldier/proto/session/v1/session";
import type { CommitTurnRequest } from "@soldier/proto/session/v1/session_service";
import fc from "fast-check";
import { register } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { budgetOf, budgetSettings, rungOf } from "../domain/budget.ts";
import { Desks } from "../testing-shop.ts";
import { applies, judgement, scriptedDesk, wire, wiredDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const shop = {
  rules: [
    {
      name: "hours",
      condition: "the customer asks for opening hours",
      examples: ["what are your opening hours", "when do you open"],
      action: "Say that we open at nine.",
      templateIds: ["hours"],
    },
  ],
  templates: [{ name: "hours", text: "From nine." }],
};
const unclear = "do you open on my birthday";
const script = {
  replies: ["We open at nine."],
  structured: { judgement: judgement([applies("r1")]) },
};
const sumOf = (commits: readonly CommitTurnRequest[]) =>
  commits.reduce((sum, { usage }) => sum + (usage?.tokens ?? 0n), 0n);
const budgeted = (budgets: object) => ({ alignment: { budgets } });

describe("a tenant's budget of the day", () => {
  it("cuts turns back step by step, and says so", async () => {
    const desk = await scriptedDesk(desks, shop, script, budgeted({ tokens: 1_000 }));
    const at = async (tokens: bigint) => {
      desk.peers.usage = { tokens, costMicros: 0n };
      const { completed } = await desk.say(unclear);
      const { budget, degradations, modelCalls, steps } = desk.peers.record;
      return {
        rung: budget?.rung,
        degradations,
        calls: modelCalls.map(({ purpose }) => purpose),
        rerank: steps.find(({ name }) => name === "rerank")?.skipped,
        source: completed.turn?.replySource,
      };
    };
    expect(await at(0n)).toMatchObject({
      rung: "full",
      degradations: [],
      calls: ["judge", "generate"],
    });
    expect(await at(700n)).toMatchObject({
      rung: "no_rerank",
      degradations: ["receive: BUDGET_NO_RERANK"],
      calls: ["judge", "generate"],
      rerank: "the day's budget",
    });
    expect(await at(850n)).toMatchObject({ rung: "no_judgement", calls: ["generate"] });
    expect(await at(1_000n)).toMatchObject({ rung: "templates_only", calls: [] });
    expect((await at(2_000n)).source).not.toBe(ReplySource.MODEL);
    expect(desk.peers.record.budget).toMatchObject({ tokens: 2_000n, tokensMax: 1_000n });
    const metrics = await register.metrics();
    expect(metrics).toContain('soldier_turns_cut_back_total{rung="templates_only"}');
  });

  it("counts what each turn uses, in tokens and in money", async () => {
    const prices = { input: 1_000, output: 1_000 };
    const scripted = { replies: ["We open at nine."], structured: {} };
    const model = { provider: "scripted", scripted, prices };
    const desk = await desks.start(shop, { settings: { model, ...budgeted({ usd: 5 }) } });
    await desk.say("when do you open");
    const [call] = desk.peers.record.modelCalls;
    const tokens = (call?.inputTokens ?? 0n) + (call?.outputTokens ?? 0n);
    expect(tokens).toBeGreaterThan(0n);
    expect(desk.peers.commits[0]?.usage).toMatchObject({ tokens, costMicros: tokens * 1_000n });
    expect(desk.peers.record.budget).toMatchObject({ costMicrosMax: 5_000_000n });
  });

  it.each(["is superseded here", "is superseded elsewhere", "is left by its caller"])(
    "counts what a turn has used that %s, without a commit",
    async (how) => {
      const opens = wire("At nine.");
      const { desk, server } = await wiredDesk(
        desks,
        { ...shop, agent: { settings: { busyPolicy: "BUSY_POLICY_SUPERSEDE" } } },
        [wire(judgement([applies("r1")])), "silence", opens, opens],
        budgeted({ tokens: 1_000_000 }),
      );
      const leaving = new AbortController();
      const events = desk.client.processTurn(
        { agent: "desk", customer: { externalId: "ada" }, channel: Channel.API, text: unclear },
        { signal: leaving.signal },
      );
      const older = (async () => {
        for await (const _ of events);
      })().catch(() => {});
      await server.received(2); // it has been judged, and is being answered
      expect(desk.peers.usage.tokens).toBe(0n);
      const [sessionId = ""] = desk.peers.sessions.keys();
      const newer = () => desk.say("when do you open", { sessionId });
      if (how === "is superseded here") await newer();
      if (how === "is superseded elsewhere") {
        const held = desk.peers.occupy(sessionId);
        await older;
        held.release();
      }
      if (how === "is left by its caller") leaving.abort();
      await older;
      const spent = () => desk.peers.usage.tokens - sumOf(desk.peers.commits);
      await expect.poll(() => spent() > 0n).toBe(true);
      const before = desk.peers.usage.tokens;
      await newer();
      expect(desk.peers.record.budget?.tokens).toBe(before);
    },
  );

  it("is its own where it has one, and costs nothing where there is none", async () => {
    const own = { tokens: 10, tenants: { "nobody-else": { tokens: 5 } } };
    expect(budgetOf(budgetSettings.parse(own), "nobody-else")?.tokensMax).toBe(5);
    expect(budgetOf(budgetSettings.parse(own), "__proto__")?.tokensMax).toBe(10);
    const desk = await scriptedDesk(desks, shop, script);
    await desk.say(unclear);
    expect(desk.peers.commits[0]?.usage).toBeUndefined();
    expect(desk.peers.record.budget).toBeUndefined();
  });

  it("never lets a turn that has used more do more", () => {
    const order = ["full", "no_rerank", "no_judgement", "templates_only"];
    const settings = budgetSettings.parse({});
    const amount = fc.nat({ max: 2_000 });
    fc.assert(
      fc.property(amount, amount, amount, (tokens, costMicros, more) => {
        const budget = { tokensMax: 1_000, costMicrosMax: 900 };
        const before = rungOf({ tokens, costMicros }, budget, settings);
        const after = rungOf({ tokens: tokens + more, costMicros }, budget, settings);
        expect(order.indexOf(after)).toBeGreaterThanOrEqual(order.indexOf(before));
      }),
    );
  });
});
