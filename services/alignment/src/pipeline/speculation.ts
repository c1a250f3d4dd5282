import type { ModelRequest } from "@soldier/ai/language-model";
import { Fault } from "@soldier/kernel/fault";
import type { RuleCandidate } from "../domain/candidates.ts";
import { bindingsOf } from "../domain/expressions.ts";
import { replyMode } from "../domain/reply-mode.ts";
import { matchedOf } from "../domain/rule-scores.ts";
import { strictCandidates } from "../domain/template-choice.ts";
import { templateCandidates } from "../domain/templates.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { Means } from "./means.ts";
import { type ModelCalls, modelCalls } from "./model-calls.ts";
import { stepOf, templateQuestion } from "./reply-plan.ts";
import { replyRequest } from "./reply-request.ts";
import { navigateScenario } from "./steps/navigate-scenario.ts";
import { related } from "./steps/resolve-relations.ts";
import { noEffects } from "./tool-work.ts";
import type { RecordPart } from "./turn-recorder.ts";
import type { Turn } from "./turn.ts";

/**
 * A reply that is being written before it is known whether it will be the reply. Its pieces are kept
 * back: nobody sees one before the judgement has come to the very same request.
 */
export class Speculation {
  private readonly request: ModelRequest;
  private readonly calls: ModelCalls;
  private readonly stopping = new AbortController();
  private readonly writing: Promise<unknown>;
  private readonly pieces: string[] = [];
  private take: ((piece: string) => boolean) | undefined;
  private waitedMs = 0;

  constructor(request: ModelRequest, calls: ModelCalls, budget: AbortSignal) {
    this.request = request;
    this.calls = calls;
    const signal = AbortSignal.any([budget, this.stopping.signal]);
    this.writing = calls.write("generate", request, signal, (piece) => {
      if (this.take) return this.take(piece);
      this.pieces.push(piece);
      return true;
    });
    this.writing.catch(() => {}); // told to whoever uses it, if anyone does
  }

  /** What it was begun for, byte for byte. */
  isFor(request: ModelRequest): boolean {
    return JSON.stringify(request) === JSON.stringify(this.request);
  }

  /** Hands over what is written, and what comes; ends like a call of the model. */
  async into(take: (piece: string) => boolean): Promise<void> {
    const startedMs = performance.now();
    try {
      for (const piece of this.pieces.splice(0)) if (!take(piece)) return await this.discard();
      this.take = take;
      await this.writing;
    } finally {
      this.waitedMs = performance.now() - startedMs;
    }
  }

  async discard(): Promise<void> {
    this.stopping.abort(new Fault("cancelled", "the reply is another", { reason: "DISCARDED" }));
    await this.writing.catch(() => {});
  }

  /** It was written while something else was waited for: it adds nothing to the depth of the turn. */
  get record(): Pick<RecordPart, "modelCalls" | "modelCallDepth" | "outsideMs"> {
    return { ...this.calls.record, modelCallDepth: 0, outsideMs: this.waitedMs };
  }
}

type Needs = Parameters<ReturnType<typeof navigateScenario>["run"]>[0] &
  Pick<Turn, "history" | "remembered" | "receivedAt" | "budget" | "rung" | "recorder">;

/**
 * Begins to write what the reply will be if the scores are right. Undefined where the agent does not
 * want it, and where the reply would wait for tools or be a template.
 */
export async function speculate(
  scored: readonly RuleCandidate[],
  turn: Omit<Needs, "applied" | "relations" | "matched" | "judgedMove" | "extracted">,
  means: Means,
): Promise<Speculation | undefined> {
  const { bundle, budget } = turn;
  if (!bundle.settings.generation.speculative) return undefined;
  const calls = modelCalls(means, turn, "generate");
  if (!calls) return undefined;

  const matched = matchedOf(scored);
  const judged = { matched, judgedMove: undefined, extracted: [] };
  const before = { ...turn, ...judged, ...related(matched, { ...turn, rules: scored }) };
  const moved = await navigateScenario().run(before, budget);
  if (moved.answered) return undefined;
  const expected = { ...before, ...moved, effects: noEffects };
  const tools = [...expected.applied, stepOf(expected)].flatMap((each) => each?.toolIds ?? []);
  if (tools.some((id) => bundle.toolsById.has(id))) return undefined;

  const candidates = templateCandidates(templateQuestion(expected, bindingsOf(expected.known)));
  const mode = replyMode(bundle, placeOf(expected.state));
  if (mode === "EXCLUSIVE" || strictCandidates(candidates, mode, true).length > 0) return undefined;
  const { request } = replyRequest(expected, candidates, { stressed: [], shown: "" });
  return new Speculation(request, calls, budget);
}
