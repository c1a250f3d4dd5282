import { afterEach, describe, expect, it } from "vitest";
import { Desks, reasonOf } from "../testing-shop.ts";
import { wire, wiredDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const supersedes = { agent: { settings: { busyPolicy: "BUSY_POLICY_SUPERSEDE" } } };

describe("a newer message", () => {
  it("ends the running turn at once, with its model call, and is answered with both in view", async () => {
    const { desk, server } = await wiredDesk(desks, supersedes, [
      "silence",
      wire("All right, nothing is done."),
      wire("You're welcome."),
    ]);
    const older = reasonOf(desk.say("Hi"));
    await server.received(1);
    const [sessionId = ""] = desk.peers.sessions.keys();
    const newer = desk.say("Actually, cancel that", { sessionId });
    expect(await older).toBe("TURN_SUPERSEDED");
    await server.hungUp(1);
    expect((await newer).reply).toBe("All right, nothing is done.");

    expect(server.requests[1]?.messages.map(({ content }) => content)).toEqual([
      "Hi\n\nActually, cancel that",
    ]);
    expect(desk.peers.commits).toHaveLength(1);
    expect(desk.peers.aborted).toEqual([]);
    expect(desk.peers.commits[0]?.turn).toMatchObject({
      userText: "Hi\nActually, cancel that",
      number: 1,
    });
    await desk.say("thanks", { sessionId });
    expect(server.requests[2]?.messages[0]?.content).toBe("Hi\nActually, cancel that");
  });

  it("that another process answers ends the turn here soon after", async () => {
    const { desk, server } = await wiredDesk(desks, supersedes, ["silence"], {
      alignment: { supersede_check_ms: 50 },
    });
    const older = reasonOf(desk.say("Hi"));
    await server.received(1);
    const [sessionId = ""] = desk.peers.sessions.keys();
    desk.peers.occupy(sessionId);
    expect(await older).toBe("TURN_SUPERSEDED");
    await server.hungUp(1);
  });
});
