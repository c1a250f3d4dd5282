import { readFileSync } from "node:fs";
import { join } from "node:path";
import { route, service } from "@soldier/chassis/service";
import { runForTest, testIdentity } from "@soldier/chassis/testing";
import { Fault } from "@soldier/kernel/fault";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { ConfigService, type UpdateAgentRequest } from "@soldier/proto/config/v1/config_service";
import { describe, expect, it, onTestFinished } from "vitest";
import { openApi } from "./api.ts";
import { calibrateAgent } from "./calibrate.ts";
import { folderWith } from "./testing.ts";

/** An API whose engine matches "buy" messages with the rule "sales" at 0.6, all others at 0.2, and applies it to all. */
async function open() {
  const updates: UpdateAgentRequest[] = [];
  const gateway = service({
    name: "chat-gateway",
    edge: true,
    settings: {},
    start: async () => ({
      routes: [
        route(ConfigService, {
          getAgent: ({ agentId }) => ({
            agent: {
              id: "a1",
              slug: agentId,
              meta: { etag: "e7" },
              settings: { fallbackTemplateId: "f" },
            },
          }),
          exportAgent: () => ({
            document: {
              rules: [
                { name: "sales", condition: "the customer wants to buy" },
                { name: "polite", alwaysOn: true, hardConstraint: true },
              ],
            },
          }),
          updateAgent(request) {
            updates.push(request);
            if (request.agent?.meta?.etag !== "e7") throw new Fault("conflict", "moved on");
            return { agent: request.agent };
          },
        }),
        route(AlignmentService, {
          dryRun: ({ text }) => {
            const scores = { vector: text.startsWith("buy") ? 0.6 : 0.2, bm25: 0 };
            const rules = [
              { name: "sales", applied: true, scores },
              { name: "polite", applied: true, scores: {} },
            ];
            return { record: { rules } };
          },
        }),
      ],
      authenticate: async () => testIdentity(),
    }),
  });
  const mesh = await runForTest([gateway]);
  onTestFinished(() => mesh[Symbol.asyncDispose]());
  return { updates, call: openApi({ url: mesh.url ?? "", token: "t", agent: undefined }) };
}

function labels(rule = "sales", count = 50): string {
  const lines = Array.from({ length: count }, (_, i) => [
    JSON.stringify({ message: `buy number ${i}`, rule }),
    JSON.stringify({ message: `weather ${i}` }),
  ]);
  return join(folderWith({ "labels.jsonl": lines.flat().join("\n") }), "labels.jsonl");
}

const options = { agent: "shop", apply: false, progress: () => {} };

describe("calibrating an agent", () => {
  it("tells figures before and after, and the settings", async () => {
    const { call, updates } = await open();
    const told = await calibrateAgent(call, labels(), options);
    expect(told).toContain("100 messages, 50 of them with a rule.");
    expect(told).toMatch(/nothing applied +0\.0 % +100\.0 %/);
    expect(told).toMatch(/^\[alignment\.matching\]$/m);
    expect(updates).toEqual([]);
  });
  it("writes them as settings of a deployment", async () => {
    const { call } = await open();
    const write = join(folderWith(), "matching.toml");
    await calibrateAgent(call, labels(), { ...options, write });
    const text = readFileSync(write, "utf8");
    expect(text).toMatch(
      /^\[alignment\.matching\]\n(?:\w+ = [\d.]+\n){7}\n\[alignment\.selection\.rules\]\nmin_score = 0\.\d+\n$/,
    );
  });
  it("writes them into the agent that was read, and leaves its other settings", async () => {
    const { call, updates } = await open();
    const told = await calibrateAgent(call, labels(), { ...options, apply: true });
    expect(told).toMatch(/publish it to make them live/);
    const settings = updates[0]?.agent?.settings;
    expect(settings?.fallbackTemplateId).toBe("f");
    expect(settings?.matching?.midpoint).toBeGreaterThan(0.1);
    expect(settings?.matching?.midpoint).toBeLessThan(0.6);
    expect(settings?.ruleSelection?.minScore).toBeDefined();
  });
  it("refuses labels that name no rule that is matched", async () => {
    const { call } = await open();
    await expect(calibrateAgent(call, labels("polite"), options)).rejects.toMatchObject({
      reason: "LABELS_INVALID",
      fields: [{ field: "polite" }],
    });
  });
  it("refuses too few", async () => {
    const { call } = await open();
    await expect(calibrateAgent(call, labels("sales", 10), options)).rejects.toMatchObject({
      reason: "LABELS_TOO_FEW",
    });
  });
});
