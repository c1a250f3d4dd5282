import { describe, expect, it } from "vitest";
import { type NewEpisode, searchableText, storableText, violations } from "./episode.ts";

const episode = (over: Partial<NewEpisode> = {}): NewEpisode => ({
  id: "0198c0de-0000-7000-8000-000000000000",
  groupId: "ana",
  customerId: "ana",
  agentId: "",
  sessionId: "",
  turnId: "",
  ingestKey: "s1:1:user",
  role: "user",
  text: "my parcel has not come",
  occurredAt: new Date("2026-03-01T23:30:00Z"),
  ...over,
});

describe("an episode", () => {
  it("can be stored when nothing is missing", () => {
    expect(violations(episode())).toEqual([]);
  });
  it("names everything that keeps it from being stored", () => {
    const nothing = { groupId: "", ingestKey: "", text: " ", occurredAt: new Date(Number.NaN) };
    expect(violations(episode(nothing)).map(({ field }) => field)).toEqual([
      "episode.ingest_key",
      "episode.group_id",
      "episode.text",
      "episode.occurred_at",
    ]);
  });
  it("refuses a text that is longer than what can be read at a time", () => {
    const fields = violations(episode({ text: "x".repeat(65_537) })).map(({ field }) => field);
    expect(fields).toEqual(["episode.text"]);
  });
});

describe("the searchable text", () => {
  it("says who said it and when, in UTC", () => {
    expect(searchableText(episode())).toBe("Customer (1 March 2026): my parcel has not come");
  });
  it("keeps the speaker that a line of a transcript names", () => {
    const line = episode({ role: "event", text: "Ana Silva: I'll be late" });
    expect(searchableText(line)).toBe("Ana Silva (1 March 2026): I'll be late");
    const none = episode({ role: "document", text: "opening hours: nine to five" });
    expect(searchableText(none)).toBe("Document (1 March 2026): opening hours: nine to five");
  });
});

it("leaves out the character that the database cannot store", () => {
  expect(storableText("a\0b")).toBe("ab");
});
