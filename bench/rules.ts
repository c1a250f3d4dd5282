// How well the alignment service finds the rule that a message is about, and that it is about none:
// without a model, by the local embedder, through DryRun of all services in one process.
//
//   npm run bench:rules -- FILE
//
// The file is JSON: { rules: [{ id, condition, examples }], utterances: [{ text, rule }] }, rule being an
// id, several, or null where no rule applies. Figures go to standard output, progress to standard error.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import { actingAs } from "@soldier/chassis/identity";
import { overridden, readSettings } from "@soldier/chassis/settings";
import { startOneProcess } from "@soldier/local/one-process";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { figuresOf, type Outcome } from "./rule-figures.ts";
import { type LabelledRules, readLabelled } from "./labelled-rules.ts";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: npm run bench:rules -- FILE");
  process.exit(2);
}
const inFlightMax = 8;
/** For a publish: a large agent's texts take minutes to embed the first time. */
const publishMaxMs = 3_600_000;
const noBackend = "http://127.0.0.1:9";

let labelled: LabelledRules;
try {
  labelled = await readLabelled(path);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
const { rules, utterances } = labelled;

const directory = mkdtempSync(join(tmpdir(), "soldier-bench-"));
try {
  await using running = await startOneProcess({
    settings: overridden(
      readSettings(),
      {
        model: { provider: "none" },
        embedder: { provider: "local" },
        log: { level: "warn" },
        config: { embed_slice_ms: publishMaxMs },
        server: {
          max_deadline_ms: publishMaxMs,
          ports: { chat_gateway: 0 },
          admin_ports: { together: 0 },
        },
      },
      "the bench",
    ),
    directory,
    backendUrl: noBackend,
  });
  const identity = { tenantId: "bench", subject: "bench", roles: ["operator"] };
  await actingAs(identity, async () => {
    const config = running.call(ConfigService);
    const alignment = running.call(AlignmentService);
    const examples0 = figuresOf(await measured(config, alignment, 0));
    const examples5 = figuresOf(await measured(config, alignment, 5));
    const { top1, top5, auroc } = examples5;
    const inScope = utterances.filter((utterance) => utterance.rules.length > 0).length;
    console.log(
      JSON.stringify(
        {
          rules: rules.length,
          utterances: utterances.length,
          examples0,
          examples5,
          top1,
          top5,
          auroc,
          sizes: {
            in_scope: inScope,
            out_of_scope: utterances.length - inScope,
            examples_per_rule_max: Math.max(...rules.map((rule) => rule.examples.length)),
          },
        },
        undefined,
        2,
      ),
    );
  });
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Publishes the rules with so many examples each, and asks what the engine makes of every message. */
async function measured(
  config: Client<typeof ConfigService>,
  alignment: Client<typeof AlignmentService>,
  examplesMax: number,
): Promise<Outcome[]> {
  const agent = `rules-${examplesMax}`;
  console.error(`${agent}: publishing ${rules.length} rules`);
  const names = rules.map((_, i) => `rule-${i}`);
  const document = {
    agent: { slug: agent, name: agent },
    rules: rules.map(({ condition, examples }, i) => ({
      name: names[i] ?? "",
      condition,
      action: "Answer.",
      examples: examples.slice(0, examplesMax),
    })),
  };
  await config.applyAgent({ document, publish: true }, { timeoutMs: publishMaxMs });

  const outcomes: Outcome[] = [];
  const startedMs = performance.now();
  const queue = utterances.entries();
  async function work(): Promise<void> {
    for (const [at, { text, rules: expected }] of queue) {
      const { record } = await alignment.dryRun({ agentId: agent, text }, { timeoutMs: 60_000 });
      if (!record) throw new Error(`no record of "${text}"`);
      const scored = record.rules.map(({ name, applied, scores }) => ({
        rule: names.indexOf(name),
        match: scores["match"] ?? 0,
        hybrid: scores["hybrid"] ?? 0,
        applied,
      }));
      const table = record.ruleTable?.scores.find(({ part }) => part === "match");
      outcomes[at] = {
        expected: new Set(expected.map((id) => rules.findIndex((rule) => rule.id === id))),
        ranked: scored.toSorted((a, b) => b.match - a.match || b.hybrid - a.hybrid),
        // The table has every rule, in ten-thousandths; without one the record names them all.
        matches: (
          table?.values.map((value) => value / 10_000) ?? scored.map(({ match }) => match)
        ).toSorted((a, b) => b - a),
      };
      const done = Object.keys(outcomes).length;
      if (done % 250 === 0)
        console.error(
          `${agent}: ${done} of ${utterances.length}, ${Math.round((performance.now() - startedMs) / 1_000)} s`,
        );
    }
  }
  await Promise.all(Array.from({ length: inFlightMax }, work));
  return outcomes;
}
