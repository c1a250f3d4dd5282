import { ResultLifespan, type Tool } from "@soldier/proto/config/v1/tool";
import { type SessionState, SessionStatus } from "@soldier/proto/session/v1/session";
import type { RuleCandidate } from "../domain/candidates.ts";
import { type Directives, directed } from "../domain/directives.ts";
import { isRecord, type JsonRecord, valueOf } from "../domain/json.ts";
import type { KnownValues } from "../domain/known-values.ts";
import { failureMark } from "../domain/navigating.ts";
import { keepResult } from "../domain/tool-results.ts";
import { movedTo, placeOf } from "../domain/turn-values.ts";
import { resolvedNow } from "../domain/variables.ts";
import type { ToolRun } from "./tool-run.ts";
import { lacksArguments, succeeded } from "./tool-runs.ts";
import type { Turn } from "./turn.ts";

export type AnswerNeeds = "bundle" | "known" | "state";

/** What the tools of a turn have answered: what is known by it, and what the session keeps. */
export class ToolAnswers {
  state: SessionState;
  known: KnownValues;
  status: SessionStatus | undefined;
  /** Rules that tools brought for this turn. */
  readonly brought: RuleCandidate[] = [];
  private readonly turn: Pick<Turn, "bundle">;
  private readonly now: Date;

  constructor(turn: Pick<Turn, "bundle" | "known">, state: SessionState, now: Date) {
    this.turn = turn;
    this.state = state;
    this.known = turn.known;
    this.now = now;
  }

  /** What variables have come to. */
  resolved(values: JsonRecord, kept: SessionState["variables"]): void {
    this.known = { ...this.known, variables: values };
    Object.assign(this.state.variables, kept);
  }

  /** The session is at another place. */
  moved(state: SessionState, known: KnownValues): void {
    this.state = state;
    this.known = known;
  }

  /** Takes in what a tool of a rule or step answered. */
  took(run: ToolRun): void {
    const { tool, record, effect, result } = run;
    const { bundle } = this.turn;
    if (effect?.kind === "set-field") this.state.fields[effect.field] = valueOf(effect.value);
    if (effect?.kind === "status") this.status = effect.status;
    if (lacksArguments(record)) return;
    if (result === undefined) {
      this.knows(tool, failureMark(record.reason));
      keepResult(this.state, tool.name, failureMark(record.reason));
      return;
    }
    const { data, directives, problem } = directed(tool, result, new Set(bundle.variables.keys()));
    if (problem) record.reason = [record.reason, problem].filter((each) => each !== "").join("; ");
    this.knows(tool, isRecord(data) ? { ...data, ...directives?.fields } : data);
    if (directives) this.follow(directives);
    record.kept =
      tool.resultLifespan !== ResultLifespan.TURN && keepResult(this.state, tool.name, data);
    if (succeeded(record)) this.isDone(tool);
  }

  private follow({ rules, variables, handOff }: Directives): void {
    this.brought.push(...rules);
    if (handOff) this.status = SessionStatus.INTERRUPTED;
    for (const [name, value] of Object.entries(variables)) {
      const variable = this.turn.bundle.variables.get(name);
      if (variable) this.state.variables[name] = resolvedNow(variable, value, this.now);
    }
    this.known = { ...this.known, variables: { ...this.known.variables, ...variables } };
  }

  /** Where a tool ran several times, what each run was about, for whoever tells the customer. */
  tellApart(tool: Tool, runs: readonly ToolRun[]): void {
    if (runs.length < 2) return;
    const told = runs.map(({ record, result }, i) => [
      `${tool.name}#${i + 1}`,
      {
        arguments: record.arguments ?? {},
        ...(result === undefined
          ? { not_done: record.reason }
          : { result: directed(tool, result, new Set()).data }),
      },
    ]);
    const { [tool.name]: latest, ...others } = this.known.results;
    this.known = {
      ...this.known,
      results: {
        ...others,
        ...Object.fromEntries(told),
        ...(latest !== undefined && { [tool.name]: latest }),
      },
    };
  }

  private knows(tool: Tool, result: JsonRecord[string]): void {
    const { [tool.name]: _before, ...others } = this.known.results;
    this.known = {
      ...movedTo(this.known, this.state, this.turn.bundle),
      results: { ...others, [tool.name]: result },
    };
  }

  /** A tool of the step does not run again while the session is there. */
  private isDone({ id }: Tool): void {
    const { scenarioId, stepId } = placeOf(this.state);
    const step = this.turn.bundle.scenariosById.get(scenarioId)?.steps.get(stepId);
    if (step?.toolIds.includes(id) && !this.state.toolsDone.includes(id))
      this.state.toolsDone.push(id);
  }
}
