import { clone, create } from "@bufbuild/protobuf";
import {
  type ToolCallRecord,
  ToolCallOutcome,
  type VariableRecord,
  VariableRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { Step as ScenarioStep } from "@soldier/proto/config/v1/scenario";
import type { Tool } from "@soldier/proto/config/v1/tool";
import {
  AwaitedSchema,
  type SessionState,
  SessionStateSchema,
  type SessionStatus,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import { type JsonRecord, valueOf } from "../domain/json.ts";
import type { KnownValues } from "../domain/known-values.ts";
import { namesInUse } from "../domain/names-in-use.ts";
import { arrivedAt, failureMark, failureOf, groundOf, knownAt } from "../domain/navigating.ts";
import { goOn } from "../domain/navigation.ts";
import type { Navigation } from "../domain/navigation-question.ts";
import { askFor } from "../domain/tool-arguments.ts";
import { dependsOn, keepResult, partOf } from "../domain/tool-results.ts";
import { groupsOf, needsTool, remembered, standingVariables } from "../domain/variables.ts";
import { movedTo, placeOf } from "../domain/turn-values.ts";
import { argumentJudge } from "./argument-judge.ts";
import type { Means } from "./means.ts";
import { type ModelCalls, modelCalls } from "./model-calls.ts";
import { reevaluated } from "./reevaluate.ts";
import { type ToolRun, runTool } from "./tool-run.ts";
import type { Effects, Turn } from "./turn.ts";
import { related } from "./steps/resolve-relations.ts";

export type ToolNeeds =
  | "incoming"
  | "bundle"
  | "session"
  | "state"
  | "turnId"
  | "turnNumber"
  | "history"
  | "customer"
  | "context"
  | "profile"
  | "known"
  | "rules"
  | "matched"
  | "applied"
  | "relations"
  | "navigation"
  | "budget"
  | "rung";

export type ToolAdds =
  | "state"
  | "known"
  | "navigation"
  | "effects"
  | "rules"
  | "applied"
  | "relations";

/** Tools that run in one turn, at most, whoever asks for them. */
const toolRunsMax = 20;

/** One turn's tools at work: what they answer changes what comes next. */
export class ToolWork {
  private readonly turn: Pick<Turn, ToolNeeds>;
  private readonly means: Means;
  private readonly calls: ModelCalls | undefined;
  private readonly runs: ToolRun[] = [];
  private readonly requested = new Set<string>();
  /** How often each tool was run, for its idempotency keys. */
  private readonly counts = new Map<string, number>();
  /** One run for all variables that come from the same tool. */
  private readonly fetched = new Map<string, Promise<ToolRun>>();
  private readonly resolved: VariableRecord[] = [];
  private readonly asks: { readonly run: ToolRun; readonly argument: string }[] = [];
  private rules: Pick<Turn, "rules" | "applied" | "relations">;
  private state: SessionState;
  private known: KnownValues;
  private navigation: Navigation;
  private status: SessionStatus | undefined;
  private outsideMs = 0;

  constructor(turn: Pick<Turn, ToolNeeds>, means: Means) {
    this.turn = turn;
    this.means = means;
    this.calls = modelCalls(means, turn, "tools");
    this.state = clone(SessionStateSchema, turn.state);
    this.known = turn.known;
    this.navigation = turn.navigation;
    const { rules, applied, relations } = turn;
    this.rules = { rules, applied, relations };
    // What was awaited has been answered by this message, or it is asked for again.
    delete this.state.awaited;
  }

  async variables(): Promise<void> {
    const { bundle, turnNumber, customer, navigation } = this.turn;
    const now = this.means.clock.now();
    const standing = standingVariables({
      bundle,
      resolved: this.state.variables,
      customerId: customer.id,
      groups: groupsOf(this.known.profile),
      now,
    });
    const moment = {
      named: namesInUse(bundle, this.turn.applied, this.step(), placeOf(this.state)),
      firstTurn: turnNumber === 1,
      scenarioStarts: navigation.visits.some(
        ({ turn, reason }) => turn === turnNumber && reason === VisitReason.ENTRY,
      ),
    };
    const values: JsonRecord = { ...this.known.variables };
    await Promise.all(
      [...bundle.variables.values()].map(async (variable) => {
        const found = standing.get(variable.name) ?? { source: "unresolved", value: undefined };
        let { source, value } = found;
        const tool = bundle.toolsById.get(variable.toolId);
        if (tool && needsTool(variable, found, moment)) {
          const running = this.fetched.get(tool.id) ?? this.run(tool, `variable:${variable.name}`);
          this.fetched.set(tool.id, running);
          const run = await running;
          const answer = partOf(run.result, variable.resultPath);
          if (answer !== undefined) {
            source = "tool";
            value = answer;
            const kept = remembered(variable, answer, now);
            if (kept) this.state.variables[variable.name] = kept;
          }
        } else if (!moment.named.has(variable.name)) return; // nobody looked at it
        if (value !== undefined) values[variable.name] = value;
        this.resolved.push(create(VariableRecordSchema, { name: variable.name, source }));
      }),
    );
    this.known = { ...this.known, variables: values };
  }

  async ofRules(): Promise<void> {
    for (const rule of this.rules.applied)
      for (const tool of this.tools(rule.toolIds)) {
        if (this.requested.has(tool.id)) continue;
        this.requested.add(tool.id);
        this.took(await this.run(tool, `rule:${rule.name}`));
      }
  }

  /** Whether a tool's result has changed which rules apply. */
  reevaluated(): boolean {
    const { bundle, matched } = this.turn;
    const ran = new Set(this.runs.map(({ tool }) => tool.id));
    const again = reevaluated({ rules: this.rules.rules, matched }, ran, bundle, this.known);
    if (!again) return false;
    const { record: _, ...rules } = related(again.matched, {
      bundle,
      state: this.state,
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
      for (const tool of this.tools(step.toolIds)) {
        if (!this.isDue(tool)) continue;
        this.took(await this.run(tool, `step:${step.id}`));
      }
      if (this.runs.length === 0 || !this.advanced()) return;
    }
  }

  done(): Pick<Turn, ToolAdds> & { record: object } {
    this.awaiting();
    const effects: Effects = {
      asks: this.asks.map(({ run, argument }) => askFor(run.tool, argument)),
      unfinished: new Set(
        this.runs
          .filter(({ record }) => record.outcome !== ToolCallOutcome.SUCCEEDED)
          .map(({ tool }) => tool.id),
      ),
      status: this.status,
    };
    const records: ToolCallRecord[] = this.runs.map(({ record }) => record);
    const idle = records.length === 0 && this.resolved.length === 0;
    return {
      ...this.rules,
      state: this.state,
      known: this.known,
      navigation: this.navigation,
      effects,
      record: {
        ...(idle && { skipped: "nothing to run" }),
        ...this.calls?.record,
        outsideMs: this.outsideMs + (this.calls?.record.outsideMs ?? 0),
        facts: { toolCalls: records, variables: this.resolved },
      },
    };
  }

  private step(): ScenarioStep | undefined {
    const { scenarioId, stepId } = placeOf(this.state);
    return this.turn.bundle.scenariosById.get(scenarioId)?.steps.get(stepId);
  }

  private tools(ids: readonly string[]): readonly Tool[] {
    return ids.flatMap((id) => this.turn.bundle.toolsById.get(id) ?? []);
  }

  /** A step's tool runs once for each visit; after a failure again only when that is harmless. */
  private isDue(tool: Tool): boolean {
    if (
      this.runs.some((run) => run.tool.id === tool.id && run.record.requestedBy.startsWith("step:"))
    )
      return false;
    const before = this.known.results[tool.name];
    if (before === undefined) return true;
    // The customer gives another value for what it was asked with.
    const given = this.turn.context.fields.map(({ name }) => name);
    const concerned = given.some((name) => dependsOn(tool, name));
    return tool.idempotent && (concerned || failureOf(before) !== undefined);
  }

  private async run(tool: Tool, requestedBy: string): Promise<ToolRun> {
    const { turn, means } = this;
    const n = (this.counts.get(tool.id) ?? 0) + 1;
    this.counts.set(tool.id, n);
    const count = this.counts.values().reduce((sum, each) => sum + each, 0);
    const startedMs = performance.now();
    const { calls } = this;
    const awaited = turn.session.state?.awaited;
    const run = await runTool(
      {
        tool,
        requestedBy,
        key: `${turn.turnId}:${tool.id}:${n}`,
        known: this.known,
        messages: [
          turn.incoming.text,
          ...turn.history.map(({ userText }) => userText).toReversed(),
        ],
        awaited:
          awaited?.for.case === "argument" &&
          awaited.for.value.toolId === tool.id &&
          awaited.askedTurn === turn.turnNumber - 1 &&
          turn.context.exitSignal === 0
            ? awaited.for.value.argument
            : undefined,
        judge: calls && argumentJudge(turn, calls),
        refusal: count > toolRunsMax ? "TOOL_BUDGET_SPENT" : undefined,
        isPrivate: (name) => turn.bundle.fields.get(name)?.pii === true,
      },
      means.tools,
      turn.budget,
    );
    this.runs.push(run);
    if (run.record.attempts > 0) this.outsideMs += performance.now() - startedMs;
    return run;
  }

  /** Takes in what a tool of a rule or step answered. */
  private took(run: ToolRun): void {
    const { tool, record, effect } = run;
    if (run.asksFor.length > 0) this.asks.push({ run, argument: run.asksFor[0] ?? "" });
    if (effect?.kind === "set-field") this.state.fields[effect.field] = valueOf(effect.value);
    if (effect?.kind === "status") this.status = effect.status;
    const tried =
      record.outcome === ToolCallOutcome.SUCCEEDED ||
      record.outcome === ToolCallOutcome.FAILED ||
      record.outcome === ToolCallOutcome.INVALID_RESULT ||
      record.outcome === ToolCallOutcome.REFUSED;
    if (!tried) return;
    const result = run.result ?? failureMark(record.reason);
    const { [tool.name]: _before, ...others } = this.known.results;
    this.known = {
      ...movedTo(this.known, this.state, this.turn.bundle),
      results: { ...others, [tool.name]: result },
    };
    keepResult(this.state, tool.name, result);
  }

  private advanced(): boolean {
    const { bundle, profile, turnNumber } = this.turn;
    const navigation = goOn(
      groundOf({ bundle, state: this.state, known: this.known, profile, turnNumber }),
    );
    if (navigation.moves.length === 0) return false;
    this.state = arrivedAt(this.state, navigation, bundle);
    this.known = knownAt(this.known, this.state, navigation, bundle);
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
    this.state.awaited = create(AwaitedSchema, {
      for: { case: "argument", value: { toolId: first.run.tool.id, argument: first.argument } },
      askedTurn: this.turn.turnNumber,
    });
  }
}
