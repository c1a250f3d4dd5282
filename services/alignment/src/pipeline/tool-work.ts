import { create } from "@bufbuild/protobuf";
import type { VariableRecord } from "@soldier/proto/audit/v1/turn_record";
import type { Step as ScenarioStep } from "@soldier/proto/config/v1/scenario";
import type { Tool } from "@soldier/proto/config/v1/tool";
import { AwaitedSchema, VisitReason } from "@soldier/proto/session/v1/session";
import { valueOf } from "../domain/json.ts";
import { namesInUse } from "../domain/names-in-use.ts";
import { arrivedAt, failureOf, groundOf, knownAt } from "../domain/navigating.ts";
import { goOn } from "../domain/navigation.ts";
import type { Navigation } from "../domain/navigation-question.ts";
import { compareRules } from "../domain/rule-order.ts";
import { copied } from "../domain/session-state.ts";
import { askFor } from "../domain/tool-arguments.ts";
import { type PlannedCall, plannedCalls, type Refusal } from "../domain/tool-plan.ts";
import { dependsOn } from "../domain/tool-results.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { Means } from "./means.ts";
import { reevaluated } from "./reevaluate.ts";
import { related } from "./steps/resolve-relations.ts";
import { type AnswerNeeds, ToolAnswers } from "./tool-answers.ts";
import { type ProposalNeeds, ToolProposals } from "./tool-asking.ts";
import type { ToolRun } from "./tool-run.ts";
import { succeeded, ToolRuns } from "./tool-runs.ts";
import type { Effects, Turn } from "./turn.ts";
import { resolvedVariables } from "./variable-work.ts";

export type ToolNeeds =
  | "ledger"
  | AnswerNeeds
  | ProposalNeeds
  | "turnId"
  | "turnNumber"
  | "customer"
  | "rules"
  | "matched"
  | "applied"
  | "relations"
  | "navigation";

export type ToolAdds =
  | "state"
  | "known"
  | "navigation"
  | "effects"
  | "rules"
  | "applied"
  | "relations";

/** No tool ran. */
export const noEffects: Effects = {
  asks: [],
  notDone: [],
  unfinished: new Set(),
  status: undefined,
};

/** What was left undone on purpose, in words for whoever writes the reply. */
const refusals: Readonly<Record<string, string>> = {
  TOOL_NOT_ASKED_FOR: "the customer has not clearly asked for it to be done now",
  TOOL_NOT_CONFIRMED: "nobody could say whether the customer wants it done now",
} satisfies Partial<Record<Refusal, string>>;

/** One turn's tools at work: what they answer changes what comes next. */
export class ToolWork {
  private readonly turn: Pick<Turn, ToolNeeds>;
  private readonly means: Means;
  private readonly runs: ToolRuns;
  private readonly proposals: ToolProposals;
  private readonly answers: ToolAnswers;
  private readonly requested = new Set<string>();
  private readonly asks: { readonly run: ToolRun; readonly call: PlannedCall }[] = [];
  private resolved: readonly VariableRecord[] = [];
  private rules: Pick<Turn, "rules" | "applied" | "relations">;
  private navigation: Navigation;

  constructor(turn: Pick<Turn, ToolNeeds>, means: Means, signal: AbortSignal) {
    const state = copied(turn.state);
    // What was awaited has been answered by this message, or it is asked for again.
    delete state.awaited;
    this.turn = turn;
    this.means = means;
    this.runs = new ToolRuns(turn, means.tools);
    this.proposals = new ToolProposals(turn, means, signal);
    this.answers = new ToolAnswers(turn, state, means.clock.now());
    this.navigation = turn.navigation;
    const { rules, applied, relations } = turn;
    this.rules = { rules, applied, relations };
  }

  async variables(): Promise<void> {
    const { turn, answers } = this;
    const { state, known } = answers;
    const { values, kept, records } = await resolvedVariables(
      turn,
      {
        state,
        known,
        now: this.means.clock.now(),
        moment: {
          named: namesInUse(turn.bundle, turn.applied, this.step(), placeOf(state)),
          firstTurn: turn.turnNumber === 1,
          scenarioStarts: turn.navigation.visits.some(
            (visit) => visit.turn === turn.turnNumber && visit.reason === VisitReason.ENTRY,
          ),
        },
      },
      this.runs,
    );
    answers.resolved(values, kept);
    this.resolved = records;
  }

  async ofRules(): Promise<void> {
    const due = this.dueTools();
    await this.ask(due);
    for (const rule of this.rules.applied)
      for (const tool of this.tools(rule.toolIds)) {
        if (this.requested.has(tool.id)) continue;
        this.requested.add(tool.id);
        await this.run(tool, due, `rule:${rule.name}`);
      }
  }

  /** Whether a tool's result has changed which rules apply. */
  reevaluated(): boolean {
    const { bundle, matched } = this.turn;
    const ran = new Set(this.runs.all.map(({ tool }) => tool.id));
    const again = reevaluated(
      { rules: this.rules.rules, matched },
      ran,
      bundle,
      this.answers.known,
    );
    if (!again) return false;
    const { record: _, ...rules } = related(again.matched, {
      bundle,
      state: this.answers.state,
      rules: again.rules,
    });
    this.rules = rules;
    return true;
  }

  /** The tools of the step, and of each step that their answers lead to. */
  async ofSteps(): Promise<void> {
    const { auto_advance_max } = this.turn.bundle.settings.navigation;
    for (let i = 0; i <= auto_advance_max; i++) {
      const step = this.step();
      if (!step) return;
      const due = this.tools(step.toolIds).filter((tool) => this.isDue(tool));
      await this.ask(due);
      for (const tool of due) await this.run(tool, due, `step:${step.id}`);
      if (this.runs.all.length === 0 || !this.advanced()) return;
    }
  }

  done(): Pick<Turn, ToolAdds> & { record: object } {
    this.awaiting();
    const { state, known, status, brought } = this.answers;
    const records = this.runs.all.map(({ record }) => record);
    const effects: Effects = {
      asks: this.questions(),
      notDone: records.flatMap(({ name, reason }) => {
        const why = refusals[reason];
        return why ? [`${name}: ${why}`] : [];
      }),
      unfinished: new Set(
        records
          .filter((record) => !succeeded(record) && record.reason !== "TOOL_NOT_PREFERRED")
          .map(({ toolId }) => toolId),
      ),
      status,
    };
    const { rules, applied, relations } = this.rules;
    const idle = records.length === 0 && this.resolved.length === 0;
    const asked = this.proposals.record;
    return {
      rules: [...rules, ...brought],
      applied: [...applied, ...brought.map(({ rule }) => rule)].toSorted(compareRules),
      relations,
      state,
      known,
      navigation: this.navigation,
      effects,
      record: {
        ...(idle && { skipped: "nothing to run" }),
        ...asked,
        outsideMs: this.runs.outsideMs + (asked.outsideMs ?? 0),
        facts: { toolCalls: records, variables: [...this.resolved] },
      },
    };
  }

  /** A model can ask for all that is lacking at once; without one the answer must be about one thing. */
  private questions(): readonly string[] {
    const questions = this.asks.flatMap(({ run: { tool, asksFor }, call: { given } }) =>
      (this.proposals.hasModel ? asksFor : asksFor.slice(0, 1)).map((argument) =>
        askFor(tool, argument, given.invalid.has(argument)),
      ),
    );
    return [...new Set(questions)];
  }

  private step(): ScenarioStep | undefined {
    const { scenarioId, stepId } = placeOf(this.answers.state);
    // Overridden in this turn, the scenario does nothing either.
    if (this.rules.relations.scenariosDropped.includes(scenarioId)) return undefined;
    return this.turn.bundle.scenariosById.get(scenarioId)?.steps.get(stepId);
  }

  private tools(ids: readonly string[]): readonly Tool[] {
    return ids.flatMap((id) => this.turn.bundle.toolsById.get(id) ?? []);
  }

  /** What the rules and the step want to run now, each once: all that a model is asked about at once. */
  private dueTools(): readonly Tool[] {
    const ofRules = this.rules.applied.flatMap(({ toolIds }) => this.tools(toolIds));
    const ofStep = this.tools(this.step()?.toolIds ?? []).filter((tool) => this.isDue(tool));
    return [...new Set([...ofRules, ...ofStep])].filter(({ id }) => !this.requested.has(id));
  }

  /** A step's tool runs once for each visit; after a failure again only when that is harmless. */
  private isDue(tool: Tool): boolean {
    const { all } = this.runs;
    if (all.some((run) => run.tool.id === tool.id && run.record.requestedBy.startsWith("step:")))
      return false;
    const { known, state } = this.answers;
    const before = known.results[tool.name];
    if (before === undefined && !state.toolsDone.includes(tool.id)) return true;
    // The customer gives another value for what it was asked with.
    const given = this.turn.context.fields.map(({ name }) => name);
    const concerned = given.some((name) => dependsOn(tool, name));
    return tool.idempotent && (concerned || failureOf(before) !== undefined);
  }

  private async ask(tools: readonly Tool[]): Promise<void> {
    const { known } = this.answers;
    const step = this.step();
    await this.proposals.ask(tools, known, [
      ...this.rules.applied.map(({ action }) => action),
      step?.instructions ?? "",
    ]);
  }

  /** The calls of one tool, one after the other: what one answers the next one can use. */
  private async run(tool: Tool, due: readonly Tool[], requestedBy: string): Promise<void> {
    if (this.proposals.lacks(tool, this.answers.known)) await this.ask([tool]);
    const { known } = this.answers;
    const calls = plannedCalls({
      tool,
      due,
      proposed: this.proposals.known,
      hasModel: this.proposals.hasModel,
      filled: (proposal) => this.proposals.filled(tool, known, proposal),
    });
    const runs: ToolRun[] = [];
    for (const call of calls) {
      const run = await this.runs.run(tool, requestedBy, call);
      runs.push(run);
      if (run.asksFor.length > 0) this.asks.push({ run, call });
      if (!call.refusal) this.answers.took(run);
    }
    this.answers.tellApart(tool, runs);
  }

  private advanced(): boolean {
    const { bundle, profile, turnNumber } = this.turn;
    const { state, known } = this.answers;
    const navigation = goOn(groundOf({ bundle, state, known, profile, turnNumber }));
    if (navigation.moves.length === 0) return false;
    const next = arrivedAt(state, navigation, bundle);
    this.answers.moved(next, knownAt(known, next, navigation, bundle));
    this.navigation = {
      ...navigation,
      moves: [...this.navigation.moves, ...navigation.moves],
      entered: [...this.navigation.entered, ...navigation.entered],
    };
    return navigation.entered.length > 0;
  }

  /** Remembers what the first question is about, so that the next message can be its answer. */
  private awaiting(): void {
    const first = this.asks[0];
    if (!first) return;
    const { run, call } = first;
    const given = Object.entries(call.given.values).filter(
      ([name]) => !call.given.invalid.has(name),
    );
    this.answers.state.awaited = create(AwaitedSchema, {
      for: {
        case: "argument",
        value: {
          toolId: run.tool.id,
          argument: run.asksFor[0] ?? "",
          given: Object.fromEntries(given.map(([name, value]) => [name, valueOf(value)])),
        },
      },
      askedTurn: this.turn.turnNumber,
    });
  }
}
