import { describe, expect, it } from "vitest";
import { ChangeKind } from "@soldier/proto/config/v1/config_service";
import { difference } from "./difference.ts";
import { adopted, exported } from "./document.ts";
import { contentHash } from "./meaning.ts";
import { settle } from "./settle.ts";
import { type Desk, desk, documentOf, settled } from "./testing.ts";

/** The draft after the document was applied to it. */
function applied(json: Desk, before = settled(desk()).draft) {
  const { draft, problems } = settle(adopted(documentOf(json), before), before);
  expect(problems).toEqual([]);
  return { before, draft, ...difference(before, draft) };
}

const rule = (json: Desk, name: string) =>
  json.rules.find((one) => (one as { name: string }).name === name) as Record<string, unknown>;

describe("applying a document", () => {
  it("a second time changes nothing, in whatever order it is", () => {
    const again = desk();
    again.rules.reverse();
    again.templates.reverse();
    const { changes, written, removed, agent, before, draft } = applied(again);
    expect({ changes, written, removed, agent }).toEqual({
      changes: [],
      written: [],
      removed: [],
      agent: false,
    });
    expect(contentHash(draft)).toBe(contentHash(before));
  });

  it("what was exported changes nothing", () => {
    const before = settled(desk()).draft;
    const file = exported(before);
    expect(JSON.stringify(file, (_, value: unknown) => (typeof value === "bigint" ? 0 : value)))
      .not //
      .toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-7/);
    const { draft } = settle(adopted(file, before), before);
    expect(difference(before, draft).written).toEqual([]);
    expect(file.agent?.settings?.fallbackTemplateId).toBe("sorry");
  });

  it("gives a hash that does not depend on ids", () => {
    expect(contentHash(settled(desk()).draft)).toBe(contentHash(settled(desk()).draft));
  });

  it("tells what is created, updated with its fields, and deleted", () => {
    const json = desk();
    Object.assign(rule(json, "greet"), { action: "Wave.", priority: 5 });
    json.templates.push({ name: "bye", text: "Bye!", conditions: "session.turn > 9" });
    json.relations = [];
    json.agent["name"] = "Front desk";
    const { changes, before, draft } = applied(json);
    expect(changes).toEqual([
      { kind: ChangeKind.UPDATED, collection: "agent", name: "desk", fields: ["name"] },
      {
        kind: ChangeKind.UPDATED,
        collection: "rules",
        name: "greet",
        fields: ["action", "priority"],
      },
      {
        kind: ChangeKind.DELETED,
        collection: "relations",
        name: "overrides:refund:kindness",
        fields: [],
      },
      { kind: ChangeKind.CREATED, collection: "templates", name: "bye", fields: [] },
    ]);
    expect(draft.rules.map(({ id }) => id)).toEqual(before.rules.map(({ id }) => id));
  });
});

describe("a scenario's stamps", () => {
  it("count its contents, and tell which step has changed", () => {
    const json = desk();
    const { draft: before } = settled(json);
    const [first] = before.scenarios;
    expect(first?.version).toBe(1n);
    Object.assign(rule(json, "calm"), { action: "Be very sorry." });
    const { draft, changes, written } = applied(json, before);
    const [second] = draft.scenarios;
    expect(second?.version).toBe(2n);
    expect(second?.contentHash).not.toBe(first?.contentHash);
    expect(second?.steps[0]?.contentHash).not.toBe(first?.steps[0]?.contentHash);
    expect(second?.steps[1]?.contentHash).toBe(first?.steps[1]?.contentHash);
    // The author changed the rule; the scenario is written for its stamps alone.
    expect(changes.map(({ name }) => name)).toEqual(["calm"]);
    expect(written.map(({ resource }) => resource.name)).toEqual(["calm", "return"]);
  });

  it("stay when only what people read of it changes", () => {
    const json = desk();
    Object.assign(json.scenarios[0] ?? {}, { description: "Returns.", disabled: true });
    Object.assign(rule(json, "calm"), { tags: ["mood"] });
    expect(applied(json).draft.scenarios[0]?.version).toBe(1n);
  });

  it("count how strictly templates are used in it", () => {
    const json = desk();
    Object.assign(json.scenarios[0] ?? {}, { reply_mode: "TEMPLATE_MODE_EXCLUSIVE" });
    expect(applied(json).draft.scenarios[0]?.version).toBe(2n);
  });

  it("survive a step's new id and place", () => {
    const step = (id: string) => ({
      id,
      instructions: "Ask.",
      terminal: true,
      reachable_from_anywhere: true,
    });
    const scenario = (steps: object[]) => ({
      scenarios: [{ name: "s", entry_condition: "c", steps: steps as never[] }],
    });
    const one = settled(scenario([step("a")])).draft.scenarios[0];
    const other = settled(scenario([{ ...step("z"), instructions: "New." }, step("b")]));
    expect(other.draft.scenarios[0]?.steps[1]?.contentHash).toBe(one?.steps[0]?.contentHash);
  });

  it("name transitions after their targets", () => {
    const transitions = settled(desk()).draft.scenarios[0]?.steps[0]?.transitions;
    expect(transitions?.map(({ id }) => id)).toEqual(["done", "done-2"]);
  });
});
