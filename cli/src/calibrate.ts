import { writeFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import {
  AgentSettingsSchema,
  MatchingSettingsSchema,
  SelectionStrategySchema,
} from "@soldier/proto/config/v1/agent";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import {
  type Calibrated,
  type Calibration,
  calibrate,
  type Figures,
  type Sample,
} from "./calibration.ts";
import { type LabelledMessage, readLabelledMessages } from "./labelled-messages.ts";

export interface CalibrateOptions {
  /** Id or slug. */
  readonly agent: string;
  /** Where to write what was found as settings of a deployment. */
  readonly write?: string | undefined;
  /** Writes it into the agent's own settings. */
  readonly apply: boolean;
  /** Told how far it is. */
  readonly progress: (done: number, of: number) => void;
}

const inFlightMax = 4;

/**
 * Fits the weights and thresholds of matching to labelled messages, and returns what to tell. Every message
 * runs on the agent's published version, with no effect anywhere. Nothing is written when settings that
 * were fitted without a message do no better on it than those in force.
 */
export async function calibrateAgent(
  call: Call,
  path: string,
  options: CalibrateOptions,
): Promise<string> {
  const messages = await readLabelledMessages(path);
  const { agent } = await call(ConfigService).getAgent({ agentId: options.agent });
  if (!agent) throw new Error(`config sent no agent ${options.agent}`);
  const names = await matchedRules(call, agent.id, path, messages);
  const found = calibrate(await samplesOf(call, agent.id, messages, names, options));
  // Connections that were closed meanwhile are noticed first.
  await nextTurn();

  const { settings, before, heldOut } = found;
  const lines = [told(messages, found)];
  if (heldOut.objective <= before.objective) {
    lines.push("The settings in force do as well: nothing was written.");
    return lines.join("\n");
  }
  if (options.write !== undefined) {
    await writeFile(options.write, toml(settings));
    lines.push(`Written to ${options.write}.`);
  }
  if (options.apply) {
    await call(ConfigService).updateAgent({
      agent: { ...agent, settings: withCalibration(agent.settings, settings) },
    });
    lines.push(`The draft of ${agent.slug} has them now: publish it to make them live.`);
  }
  if (options.write === undefined && !options.apply) lines.push(toml(settings).trim());
  return lines.join("\n");
}

/**
 * The names of the rules that messages are matched with: those that apply unasked have nothing to fit.
 * Throws when a label is none of them.
 */
async function matchedRules(
  call: Call,
  agentId: string,
  path: string,
  messages: readonly LabelledMessage[],
): Promise<ReadonlySet<string>> {
  const { document } = await call(ConfigService).exportAgent({ agentId });
  const names = new Set(
    document?.rules
      .filter(({ condition, examples }) => condition !== "" || examples.length > 0)
      .filter(({ alwaysOn, hardConstraint }) => !(alwaysOn && hardConstraint))
      .map(({ name }) => name),
  );
  const unknown = new Set(
    messages.flatMap(({ rules }) => rules.filter((name) => !names.has(name))),
  );
  if (unknown.size === 0) return names;
  throw new Fault("invalid", `${path} names what is no rule that the agent matches`, {
    reason: "LABELS_INVALID",
    fields: [...unknown].map((field) => ({ field, description: "is no such rule" })),
  });
}

async function samplesOf(
  call: Call,
  agentId: string,
  messages: readonly LabelledMessage[],
  names: ReadonlySet<string>,
  { progress }: CalibrateOptions,
): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const queue = messages.entries();
  let done = 0;
  async function work(): Promise<void> {
    for (const [at, { message, rules }] of queue) {
      const { record } = await call(AlignmentService).dryRun({ agentId, text: message });
      samples[at] = {
        expected: new Set(rules),
        rules: (record?.rules ?? [])
          .filter(({ name }) => names.has(name))
          .map(({ name, scores, applied }) => ({ name, applied, ...partsOf(scores) })),
        entries: (record?.scenarios ?? []).map(({ name, scores }) => ({
          name,
          applied: false,
          ...partsOf(scores),
        })),
      };
      progress(++done, messages.length);
    }
  }
  await Promise.all(Array.from({ length: inFlightMax }, work));
  return samples;
}

function partsOf(scores: Readonly<Record<string, number>>) {
  return { vector: scores["vector"] ?? 0, bm25: scores["bm25"] ?? 0 };
}

function told(
  messages: readonly LabelledMessage[],
  { settings, before, heldOut }: Calibrated,
): string {
  const withRule = messages.filter(({ rules }) => rules.length > 0).length;
  const line = (name: string, figure: keyof Figures) =>
    `  ${name.padEnd(52)} ${shown(before[figure])}  ${shown(heldOut[figure])}`;
  return [
    `${messages.length} messages, ${withRule} of them with a rule.`,
    `${"".padEnd(54)} before  after, held out`,
    line("with a rule: agreement of what applied with labels", "agreement"),
    line("without: nothing applied", "rejected"),
    line("mean of both, which is fitted", "objective"),
    "",
    ...Object.entries(settings).map(([key, value]) => `  ${key.padEnd(18)} ${value}`),
  ].join("\n");
}

function shown(share: number): string {
  return `${(100 * share).toFixed(1)} %`.padStart(7);
}

function toml({ min_score, ...matching }: Calibration): string {
  const keys = Object.entries(matching).map(([key, value]) => `${key} = ${value}`);
  return [
    "[alignment.matching]",
    ...keys,
    "",
    "[alignment.selection.rules]",
    `min_score = ${min_score}`,
    "",
  ].join("\n");
}

/** The settings with what was fitted in their place; all others stay. */
function withCalibration(
  settings: Parameters<typeof create<typeof AgentSettingsSchema>>[1],
  fitted: Calibration,
) {
  return create(AgentSettingsSchema, {
    ...settings,
    matching: create(MatchingSettingsSchema, {
      vectorWeight: fitted.vector_weight,
      bm25Weight: fitted.bm25_weight,
      midpoint: fitted.midpoint,
      slope: fitted.slope,
      matchThreshold: fitted.match_threshold,
      certainThreshold: fitted.certain_threshold,
      lead: fitted.lead,
    }),
    ruleSelection: create(SelectionStrategySchema, {
      ...settings?.ruleSelection,
      minScore: fitted.min_score,
    }),
  });
}
