import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readLabelledMessages } from "./labelled-messages.ts";
import { folderWith } from "./testing.ts";

const read = (name: string, text: string) =>
  readLabelledMessages(join(folderWith({ [name]: text }), name));

const three = [
  { message: "hello", rules: ["greeting"] },
  { message: 'angry, "very", and broken', rules: ["angry", "damaged"] },
  { message: "what is the time", rules: [] },
];

describe("labelled messages", () => {
  it("are read from lines of JSON", async () => {
    const text =
      '{"message": "hello", "rule": "greeting"}\n\n' +
      '{"text": "angry, \\"very\\", and broken", "rules": ["angry", "damaged"]}\n' +
      '{"message": "what is the time", "rule": null}\n';
    expect(await read("a.jsonl", text)).toEqual(three);
  });
  it("are read from a list, or from what rules are measured with", async () => {
    const rows = [
      { message: "hello", rule: "greeting" },
      { text: three[1]?.message, rule: "angry;damaged" },
      { text: "what is the time" },
    ];
    expect(await read("a.json", JSON.stringify(rows))).toEqual(three);
    expect(await read("a.json", JSON.stringify({ utterances: rows, rules: [] }))).toEqual(three);
  });
  it("are read from a table, with quotes and without a last line end", async () => {
    const text =
      "Message,rule\r\nhello,greeting\r\n" +
      '"angry, ""very"", and broken",angry; damaged\r\n\r\nwhat is the time,';
    expect(await read("a.csv", text)).toEqual(three);
  });
  it("are refused with the place of what is wrong", async () => {
    await expect(read("a.jsonl", '{"message": "x"}\n{nothing')).rejects.toThrow(
      /a\.jsonl:2: it is not JSON/,
    );
    await expect(read("a.csv", 'message,rule\nx,y\n"open,z\n')).rejects.toThrow(
      /a\.csv:3: a quote/,
    );
    await expect(read("a.csv", "said,rule\nx,y\n")).rejects.toThrow(
      /a\.csv:2: .*message is needed/s,
    );
    await expect(read("a.json", "3")).rejects.toThrow(/no list of messages/);
    await expect(read("a.txt", "")).rejects.toThrow(/must end in \.jsonl, \.json or \.csv/);
    await expect(readLabelledMessages("/no/such.csv")).rejects.toMatchObject({
      reason: "LABELS_INVALID",
    });
  });
});
