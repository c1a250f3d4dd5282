import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { TurnToldSchema } from "@soldier/proto/events/v1/events";
import { describe, expect, it } from "vitest";
import { turnEpisodes } from "./turn-episodes.ts";

const received = new Date("2026-03-01T10:00:00.500Z");
const committed = new Date("2026-03-01T10:00:02Z");

const turn = {
  id: "t7",
  sessionId: "s1",
  number: 7,
  userText: "where is it?",
  replyText: "on its way",
  receivedAt: timestampFromDate(received),
  committedAt: timestampFromDate(committed),
};

const episodes = ({ customerId = "ana", replyText = turn.replyText } = {}) =>
  turnEpisodes(
    create(TurnToldSchema, {
      tenantId: "acme",
      agentId: "desk",
      customerId,
      turn: { ...turn, replyText },
    }),
  );

describe("the episodes of a turn", () => {
  it("are what was said and what was answered, in the customer's group", () => {
    const both = episodes();
    const of = {
      groupId: "ana",
      customerId: "ana",
      agentId: "desk",
      sessionId: "s1",
      turnId: "t7",
    };
    expect(both).toMatchObject([
      { ...of, role: "user", text: "where is it?", ingestKey: "s1:7:user", occurredAt: received },
      { ...of, role: "agent", text: "on its way", ingestKey: "s1:7:agent", occurredAt: committed },
    ]);
  });
  it("leave out what is empty", () => {
    expect(episodes({ replyText: " \0" }).map(({ role }) => role)).toEqual(["user"]);
  });
  it("are none without a customer or a turn", () => {
    expect(episodes({ customerId: "" })).toEqual([]);
    expect(turnEpisodes(create(TurnToldSchema, { customerId: "ana" }))).toEqual([]);
  });
});
