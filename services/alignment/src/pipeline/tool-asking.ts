import type { Tool } from "@soldier/proto/config/v1/tool";
import { type Grounds, groundsOf } from "../domain/grounding.ts";
import { type JsonRecord, jsonOf } from "../domain/json.ts";
import type { KnownValues } from "../domain/known-values.ts";
import { type ToolArguments, toolArguments } from "../domain/tool-arguments.ts";
import { overlaps } from "../domain/tool-plan.ts";
import { tried } from "./degrade.ts";
import type { Means } from "./means.ts";
import { type ModelCalls, modelCalls } from "./model-calls.ts";
import { askedCalls } from "./tool-question.ts";
import type { RecordPart } from "./turn-recorder.ts";
import type { Turn } from "./turn.ts";

export type ProposalNeeds =
  | "incoming"
  | "history"
  | "bundle"
  | "session"
  | "profile"
  | "context"
  | "turnNumber"
  | "proposed"
  | "budget"
  | "rung"
  | "recorder";

/** What a model says about the tools of a turn: it is asked once about each, and about as many at a time as can be. */
export class ToolProposals {
  /** Calls by tool id, for each tool that a model was asked about. */
  readonly known: Map<string, readonly JsonRecord[]>;
  /** There is a model whose word counts, whether it can be asked now or not. */
  readonly hasModel: boolean;
  private readonly turn: Pick<Turn, ProposalNeeds>;
  private readonly calls: ModelCalls | undefined;
  private readonly signal: AbortSignal;
  private readonly asked: Set<string>;
  /** Rules and instructions may name what an argument is to be. */
  private guidance: readonly string[] = [];
  private degraded: string | undefined;
  private grounded: { readonly in: KnownValues; readonly grounds: Grounds } | undefined;

  constructor(turn: Pick<Turn, ProposalNeeds>, means: Means, signal: AbortSignal) {
    this.turn = turn;
    this.calls = modelCalls(means, turn, "tools");
    this.signal = signal;
    // A tenant that has used up its budget has no model now, and still does nothing unasked.
    this.hasModel = turn.proposed !== undefined || means.models.for("tools") !== undefined;
    this.known = new Map(turn.proposed);
    this.asked = new Set(this.known.keys());
  }

  get record(): RecordPart {
    return { ...this.calls?.record, ...(this.degraded && { degraded: this.degraded }) };
  }

  /** Asks a model about those of the tools that can't do without its word; one that fails is not asked again. */
  async ask(
    tools: readonly Tool[],
    known: KnownValues,
    guidance: readonly string[],
  ): Promise<void> {
    this.guidance = [...new Set(guidance)].filter((line) => line !== "");
    this.grounded = undefined;
    if (!this.calls || this.degraded) return;
    const open = tools.filter(
      (tool) =>
        !this.asked.has(tool.id) &&
        (this.lacks(tool, known) ||
          tool.consequential ||
          tools.some((other) => overlaps(tool, other))),
    );
    if (open.length === 0) return;
    for (const { id } of open) this.asked.add(id);
    const { calls } = this;
    const turn = { ...this.turn, known };
    const answer = await tried(() => askedCalls(open, this.guidance, turn, calls), this.signal);
    if (answer.fault) this.degraded = answer.fault.reason;
    for (const [id, proposed] of answer.value ?? []) this.known.set(id, proposed);
  }

  /** Whether something required can't be had without a model that has not been asked yet. */
  lacks(tool: Tool, known: KnownValues): boolean {
    return !this.asked.has(tool.id) && this.filled(tool, known).missing.length > 0;
  }

  /** A tool's arguments: those that a model proposes, or what can be had without one. */
  filled(
    tool: Tool,
    known: KnownValues,
    proposal?: { readonly values: JsonRecord; readonly only: boolean },
  ): ToolArguments {
    const { incoming, history, context } = this.turn;
    const awaited = this.awaited(tool);
    return toolArguments({
      tool,
      known,
      messages: [incoming.text, ...history.map(({ userText }) => userText).toReversed()],
      awaited: context.exitSignal === 0 ? awaited?.argument : undefined,
      ...(awaited && { given: plain(awaited.given) }),
      ...(proposal && { proposal: { ...proposal, grounds: this.grounds(known) } }),
    });
  }

  /** What the agent asked for in the last turn, if it was an argument of this tool. */
  private awaited(tool: Tool) {
    const { session, turnNumber } = this.turn;
    const awaited = session.state?.awaited;
    return awaited?.for.case === "argument" &&
      awaited.for.value.toolId === tool.id &&
      awaited.askedTurn === turnNumber - 1
      ? awaited.for.value
      : undefined;
  }

  /** The same for all calls that are made of the same knowledge: results can be long. */
  private grounds(known: KnownValues): Grounds {
    const { incoming, history } = this.turn;
    if (this.grounded?.in !== known)
      this.grounded = {
        in: known,
        grounds: groundsOf([
          incoming.text,
          ...history.flatMap(({ userText, replyText }) => [userText, replyText]),
          ...this.guidance,
          ...[known.variables, known.profile, known.fields, known.results, known.customer].map(
            (values) => JSON.stringify(Object.values(values)),
          ),
        ]),
      };
    return this.grounded.grounds;
  }
}

function plain(values: { readonly [name: string]: Parameters<typeof jsonOf>[0] }): JsonRecord {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const json = jsonOf(value);
      return json === undefined ? [] : [[name, json]];
    }),
  );
}
