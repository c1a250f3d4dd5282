// What a turn asks of a model, as an agent's rules grow: calls, how many wait for each other, and tokens
// read, by DryRun in one process. The model is scripted: it finds that no rule applies, then answers. The
// embedder is deterministic.
//
//   npm run bench:model-calls
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { actingAs } from "@soldier/chassis/identity";
import { overridden, readSettings } from "@soldier/chassis/settings";
import { startOneProcess } from "@soldier/local/one-process";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { AgentSettingsSchema } from "@soldier/proto/config/v1/agent";
import {
  type AgentDocument,
  AgentDocumentSchema,
  ConfigService,
} from "@soldier/proto/config/v1/config_service";
import { RuleSchema } from "@soldier/proto/config/v1/rule";
import { TemplateMode, TemplateSchema } from "@soldier/proto/config/v1/template";
import { benchAgent, messages } from "./agent.ts";

const sizes = [10, 100, 1_000];
const questions = messages.slice(0, 32);
/** Words of the rules, but too few of them: the scores leave open whether a rule applies. */
const vague = ["delivery", "payment", "returns", "account", "vouchers", "invoices"].map(
  (topic) => `There is something strange about ${topic} lately, I wonder`,
);
const exact = "are you open on the day of the dead";
const deadlineMs = 600_000;
const judgement = {
  intent: "help",
  topic: "shop",
  sentiment: 0,
  signal: "none",
  rules: [],
  move: { kind: "none", id: "", confidence: 1 },
};

const directory = mkdtempSync(join(tmpdir(), "soldier-bench-"));
try {
  await using running = await startOneProcess({
    settings: overridden(
      readSettings(),
      {
        model: {
          provider: "scripted",
          scripted: { structured: { judgement: JSON.stringify(judgement) } },
        },
        embedder: { provider: "deterministic" },
        log: { level: "warn" },
        server: {
          max_deadline_ms: deadlineMs,
          ports: { chat_gateway: 0 },
          admin_ports: { together: 0 },
        },
      },
      "the bench",
    ),
    directory,
    backendUrl: "http://127.0.0.1:9",
  });
  const config = running.call(ConfigService);
  const alignment = running.call(AlignmentService);
  const identity = { tenantId: "bench", subject: "bench", roles: ["operator"] };
  console.log(
    "| rules | what is asked | speculative | calls | at most | in series | tokens read |",
  );
  console.log("|---|---|---|---|---|---|---|");
  await actingAs(identity, async () => {
    for (const rules of sizes)
      for (const speculative of [false, true]) {
        const slug = `calls-${rules}-${speculative}`;
        await config.applyAgent(
          { document: agent(slug, rules, speculative), publish: true },
          { timeoutMs: deadlineMs },
        );
        const asked = {
          "about a rule": questions,
          "something vague": vague,
          "an exact answer": [exact],
        };
        for (const [what, texts] of Object.entries(asked)) {
          const turns: { calls: number; depth: number; tokens: number }[] = [];
          for (const text of texts) {
            const { record } = await alignment.dryRun({ agentId: slug, text });
            // A reply that was begun for nothing is discarded: that is no failure.
            const failed = record?.modelCalls.filter(
              (call) => call.failed !== "" && call.failed !== "DISCARDED",
            );
            if (!record || !failed || failed.length > 0 || record.degradations.length > 0)
              throw new Error(
                `"${text}" failed: ${failed?.[0]?.failed ?? record?.degradations[0]}`,
              );
            const tokens = record.modelCalls.reduce(
              (sum, each) => sum + Number(each.inputTokens),
              0,
            );
            turns.push({ calls: record.modelCalls.length, depth: record.modelCallDepth, tokens });
          }
          const mean = (of: (turn: (typeof turns)[number]) => number) =>
            turns.reduce((sum, turn) => sum + of(turn), 0) / turns.length;
          const row = [
            rules.toLocaleString("en"),
            what,
            speculative ? "yes" : "no",
            mean(({ calls }) => calls).toFixed(1),
            Math.max(...turns.map(({ calls }) => calls)),
            mean(({ depth }) => depth).toFixed(1),
            mean(({ tokens }) => tokens).toFixed(0),
          ];
          console.log(`| ${row.join(" | ")} |`);
        }
      }
  });
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** The bench's agent, and one rule whose answer is said word for word. */
function agent(slug: string, rules: number, speculative: boolean): AgentDocument {
  // It is JSON by how it is made.
  const document = fromJson(AgentDocumentSchema, benchAgent(slug, rules) as JsonValue);
  if (document.agent)
    document.agent.settings = create(AgentSettingsSchema, { generation: { speculative } });
  document.rules.push(
    create(RuleSchema, {
      name: "exact",
      condition: exact,
      action: "Say it.",
      examples: [exact, `${exact}, please`],
      templateIds: ["exact"],
    }),
  );
  document.templates.push(
    create(TemplateSchema, {
      name: "exact",
      mode: TemplateMode.EXCLUSIVE,
      text: "No, not on that day.",
    }),
  );
  return document;
}
