import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { Authority, EpisodeRole, FactState } from "@soldier/proto/memory/v1/memory";
import type { MemoryHitSchema } from "@soldier/proto/memory/v1/memory_service";
import { CustomerProfileSchema, FieldSource } from "@soldier/proto/profile/v1/profile";
import { afterEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import { wire, wiredDesk } from "../testing-model.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const saidAt = timestampFromDate(new Date("2026-05-03T10:00:00Z"));
/** Ahead of every clock in the test. */
const storedAt = timestampFromDate(new Date("2126-01-01T00:00:00Z"));

const hits: MessageInitShape<typeof MemoryHitSchema>[] = [
  {
    score: 0.9,
    text: "lives in Leeds",
    found: {
      case: "fact",
      value: {
        factId: "fact-1",
        predicate: "lives_in",
        state: FactState.CURRENT,
        authority: Authority.USER,
        claimIds: ["c"],
        validFrom: saidAt,
        lastConfirmedAt: saidAt,
        recordedAt: storedAt,
      },
    },
  },
  {
    score: 0.8,
    found: {
      case: "episode",
      value: { id: "episode-1", role: EpisodeRole.USER, text: "I moved.", occurredAt: saidAt },
    },
  },
  { score: 0.7, text: "has asthma", found: { case: "fact", value: { predicate: "diagnosis" } } },
];

const behaviour = {
  fieldDefinitions: [{ name: "diagnosis", consentPurpose: "health" }],
  rules: [{ name: "greet", condition: "the customer greets", action: "Greet.", alwaysOn: true }],
};

async function customerOf(desk: Awaited<ReturnType<typeof wiredDesk>>["desk"]) {
  desk.peers.memories = hits;
  const customerId = newId();
  desk.peers.profiles.set(
    customerId,
    create(CustomerProfileSchema, {
      id: customerId,
      meta: { updatedAt: saidAt },
      fields: {
        plan: {
          value: valueOf("gold"),
          source: FieldSource.USER_PROVIDED,
          recordedAt: saidAt,
          validFrom: saidAt,
        },
      },
    }),
  );
  return { customerId };
}

describe("what is known of a customer", () => {
  it("is told to the model with its dates, within its tokens, and the record says what was", async () => {
    const { desk, server } = await wiredDesk(desks, behaviour, () => wire("Hello."));
    await desk.say("hello there", { customer: await customerOf(desk) });
    const prompt = JSON.stringify(server.requests.at(-1));
    for (const line of [
      "- plan [said on 3 May 2026, not confirmed since]: gold",
      "- [said on 3 May 2026, not confirmed since] lives in Leeds",
      "- [3 May 2026, the customer] I moved.",
    ])
      expect(prompt).toContain(line);
    expect(prompt).not.toContain("asthma");
    const { record } = desk.peers;
    expect(record.memories).toMatchObject([
      {
        id: "fact-1",
        kind: "fact",
        state: "current",
        validFrom: saidAt,
        lastConfirmedAt: saidAt,
        used: true,
        reason: "",
      },
      { kind: "fact", used: false, reason: "consent: health" },
      { id: "episode-1", kind: "episode", validFrom: saidAt, used: true },
    ]);
    expect(record.memories.every(({ tokens }) => tokens > 0)).toBe(true);
    expect(record.profileUses).toMatchObject([
      { name: "plan", state: "unconfirmed", recordedAt: saidAt, used: true, reason: "" },
    ]);
    // Never before what was read had been recorded, whatever the clocks say.
    expect(record.believedAt).toEqual(storedAt);
    expect(record.profileChangedAt).toEqual(saidAt);
  });

  it("that there is no room for is left out, and the record says so", async () => {
    const settings = { alignment: { generation: { remembered_tokens_max: 24 } } };
    const { desk, server } = await wiredDesk(desks, behaviour, () => wire("Hello."), settings);
    await desk.say("hello there", { customer: await customerOf(desk) });
    const prompt = JSON.stringify(server.requests.at(-1));
    expect(prompt).not.toContain("gold");
    expect(prompt).toContain("lives in Leeds");
    expect(prompt).not.toContain("I moved.");
    const { profileUses, memories, profileFieldsUsed } = desk.peers.record;
    expect(profileUses[0]?.reason).toMatch(/^tokens: needs \d+, 12 are left$/);
    expect(profileFieldsUsed).toEqual([]);
    expect(memories.at(-1)?.reason).toMatch(/^tokens: needs \d+, \d are left$/);
  });

  it("is told to nobody without a model, and the turn goes on without the memory", async () => {
    const desk = await desks.start(behaviour);
    const customer = await customerOf(desk);
    await desk.say("hello there", { customer });
    const { memories, profileUses } = desk.peers.record;
    const unused = "unused: no model was asked to write the reply";
    expect(memories.map(({ reason }) => reason)).toEqual([unused, "consent: health", unused]);
    expect(profileUses).toMatchObject([{ name: "plan", used: false, reason: unused }]);

    desk.peers.broken.set("recall", new Fault("unavailable", "away", { reason: "AWAY" }));
    await desk.say("hello there", { customer });
    const { record } = desk.peers;
    expect(record.degradations).toEqual(["retrieve: memory AWAY"]);
    expect(record.memories).toEqual([]);
    expect(record.profileUses).toHaveLength(1);
  });

  it("is asked for in one call to memory and at most one to the profile", async () => {
    const desk = await desks.start(behaviour);
    await desk.say("hello there");
    expect(desk.peers.calls.get("recall")).toBeUndefined(); // a customer of whom nobody can know
    const { sessionId } = await desk.say("hello there", { customer: await customerOf(desk) });
    expect(desk.peers.calls.get("recall")).toBe(1);
    desk.peers.calls.clear();
    await desk.say("and again", { sessionId });
    expect(Object.fromEntries(desk.peers.calls)).toEqual({
      beginTurn: 1,
      recallProfile: 1,
      recall: 1,
      commitTurn: 1,
    });
  });
});
