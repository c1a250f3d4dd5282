import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { openApi } from "./api.ts";
import { apply } from "./apply.ts";
import { folderWith, openFakeApi } from "./testing.ts";

const agent = "agent:\n  slug: shop\n";

async function open() {
  const api = await openFakeApi();
  return { api, call: openApi({ ...api, agent: undefined }) };
}

describe("applying an agent", () => {
  it("says what changed, and which version is live", async () => {
    const { api, call } = await open();
    const directory = folderWith({ "agent.yaml": `${agent}rules:\n  - name: greet\n` });
    const told = await apply(call, directory, { dryRun: false, publish: true });
    expect(told.split("\n")).toEqual([
      "+ rules/greet",
      "~ rules/bye (guard, tags)",
      "- templates/old",
      "shop: 1 created, 1 updated, 1 deleted; version 4 is live",
    ]);
    expect(api.applied).toMatchObject([
      { dryRun: false, publish: true, document: { rules: [{ name: "greet" }] } },
    ]);
  });

  it("goes on with a publish that takes more than one call, and tells how far it is", async () => {
    const { api, call } = await open();
    const directory = folderWith({ "agent.yaml": agent.replace("shop", "large") });
    const said: string[] = [];
    const options = { dryRun: false, publish: true, progress: (text: string) => said.push(text) };
    expect(await apply(call, directory, options)).toMatch(/version 4 is live$/);
    expect(said).toEqual([
      "100 of 250 texts are embedded; the draft is saved, going on",
      "200 of 250 texts are embedded; the draft is saved, going on",
    ]);
    expect(api.applied).toHaveLength(3);
  });

  it("only tells what it would do in a dry run, which publishes nothing", async () => {
    const { api, call } = await open();
    const told = await apply(call, folderWith({ "agent.yaml": agent }), {
      dryRun: true,
      publish: true,
    });
    expect(told).toMatch(/only a dry run, nothing was written$/);
    expect(api.applied).toMatchObject([{ dryRun: true, publish: false }]);
  });

  it("leaves the draft unpublished on request", async () => {
    const { api, call } = await open();
    const options = { dryRun: false, publish: false };
    const told = await apply(call, folderWith({ "agent.yaml": agent }), options);
    expect(told).toMatch(/the draft is saved, not published$/);
    expect(api.applied).toMatchObject([{ dryRun: false, publish: false }]);
  });

  it("finds the service's problems in the files", async () => {
    const { call } = await open();
    const directory = folderWith({
      "agent.yaml": agent,
      "rules.yaml": "rules:\n  - name: greet\n  - name: bye\n    guard: has(\n",
    });
    const refused = await apply(call, directory, { dryRun: false, publish: true }).then(
      () => expect.fail("should have been refused"),
      (error: unknown) => error,
    );
    if (!(refused instanceof Fault)) throw refused;
    expect(refused.reason).toBe("DRAFT_INVALID");
    expect(refused.fields.map(({ field }) => field)).toEqual([
      `${directory}/rules.yaml:4: rules/bye.guard`,
      `${directory}/agent.yaml:1: agent.settings.generation.model`,
    ]);
  });

  it("asks nobody while the files are wrong", async () => {
    const { api, call } = await open();
    const directory = folderWith({ "agent.yaml": "rule: []\n" });
    await expect(apply(call, directory, { dryRun: false, publish: true })).rejects.toThrow(
      "2 problems",
    );
    expect(api.applied).toEqual([]);
  });
});
