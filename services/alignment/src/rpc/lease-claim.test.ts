import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Channel } from "@soldier/proto/common/v1/resource";
import { afterEach, describe, expect, it } from "vitest";
import { Desks, reasonOf } from "../testing-shop.ts";

const desks = new Desks();
const servers: AsyncDisposable[] = [];
afterEach(async () => {
  await desks.stop();
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

/** A tool that answers when it is told to, and a rule that calls it. */
async function slowDesk(leaseMs: number, busyPolicy = "BUSY_POLICY_QUEUE") {
  const calls: (() => void)[] = [];
  const server = createServer((_req, res) => {
    calls.push(() => res.end("{}"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
  const desk = await desks.start(
    {
      agent: { settings: { busyPolicy } },
      rules: [
        {
          name: "slow",
          condition: "be slow",
          examples: ["be slow"],
          toolIds: ["t"],
          templateIds: ["ok"],
        },
      ],
      tools: [{ name: "t", http: { method: "GET", url: `http://${host}/` } }],
      templates: [{ name: "ok", text: "Done." }],
    },
    { settings: { alignment: { lease_ms: leaseMs, tools: { allowed_private_hosts: [host] } } } },
  );
  const until = (what: () => boolean) => expect.poll(what, { timeout: 5_000 }).toBe(true);
  return { desk, until, calls };
}

function faultOf(failing: Promise<unknown>): Promise<unknown> {
  return failing.then(
    () => "nothing",
    (error: unknown) => error,
  );
}

async function drained(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

describe("the lease of a turn", () => {
  it("is renewed while the turn runs", async () => {
    const { desk, until, calls } = await slowDesk(500);
    const turn = desk.say("be slow");
    await until(() => (desk.peers.calls.get("renewLease") ?? 0) >= 2);
    calls[0]?.();
    expect((await turn).reply).toBe("Done.");
    expect(desk.peers.aborted).toEqual([]);
  });
  it("that is lost ends the turn: another message has taken the session", async () => {
    const { desk, until, calls } = await slowDesk(500);
    const turn = reasonOf(desk.say("be slow"));
    await until(() => calls.length > 0);
    const [sessionId = ""] = desk.peers.sessions.keys();
    desk.peers.occupy(sessionId);
    expect(await turn).toBe("LEASE_LOST");
    expect(desk.peers.commits).toEqual([]);
  });
  it("ends it as superseded when the agent lets a newer message go first", async () => {
    const { desk, until, calls } = await slowDesk(500, "BUSY_POLICY_SUPERSEDE");
    const older = faultOf(desk.say("be slow"));
    await until(() => calls.length === 1);
    const [sessionId = ""] = desk.peers.sessions.keys();
    const newer = desk.say("be slow", { sessionId });
    expect(await older).toMatchObject({
      kind: "conflict",
      reason: "TURN_SUPERSEDED",
      message: expect.stringContaining("a newer message of this session"),
    });
    await until(() => calls.length === 2);
    calls[1]?.();
    expect((await newer).reply).toBe("Done.");
    expect(desk.peers.commits).toHaveLength(1);
  });
  it("says so, too, when only the commit finds out", async () => {
    const { desk, until, calls } = await slowDesk(15_000, "BUSY_POLICY_SUPERSEDE");
    const older = faultOf(desk.say("be slow"));
    await until(() => calls.length === 1);
    const [sessionId = ""] = desk.peers.sessions.keys();
    const newer = desk.say("be slow", { sessionId });
    await until(() => calls.length === 2);
    calls[0]?.();
    expect(await older).toMatchObject({ kind: "conflict", reason: "TURN_SUPERSEDED" });
    calls[1]?.();
    expect((await newer).reply).toBe("Done.");
  });
  it("is given back when the caller leaves", async () => {
    const { desk, until, calls } = await slowDesk(15_000);
    const leaving = new AbortController();
    const events = desk.client.processTurn(
      { agent: "desk", customer: { externalId: "ada" }, channel: Channel.API, text: "be slow" },
      { signal: leaving.signal },
    );
    const reading = reasonOf(drained(events));
    await until(() => calls.length > 0);
    leaving.abort();
    await reading;
    await until(() => desk.peers.aborted.length === 1);
    expect(desk.peers.commits).toEqual([]);
  });
});
