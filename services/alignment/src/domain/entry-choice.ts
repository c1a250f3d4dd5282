import type { CompiledScenario } from "./compiled-bundle.ts";
import type { EntryScore, Move, NavigationQuestion } from "./navigation-question.ts";
import { loopAt } from "./visits.ts";

export interface EntryChoice {
  readonly taken:
    | {
        readonly scenario: CompiledScenario;
        readonly stepId: string;
        readonly score: number;
        /** By a relation or a model's word, rather than by the score. */
        readonly isTold: boolean;
      }
    | undefined;
  readonly moves: readonly Move[];
}

interface Candidate extends EntryScore {
  readonly scenario: CompiledScenario;
  readonly stepId: string;
  readonly refusal: string | undefined;
}

/**
 * The scenario to start, if any: one that a relation brings in, the one that a model chose, or else
 * the best that reaches the bar. Among scores within the margin of the best, priority decides.
 */
export function chooseEntry(
  question: NavigationQuestion,
  {
    except,
    bar = question.settings.entry_threshold,
  }: { readonly except?: string | undefined; readonly bar?: number } = {},
): EntryChoice {
  const { judged } = question;
  const told = judged?.kind === "entry" ? judged : undefined;
  const candidates = question.entries.flatMap((given): Candidate[] => {
    const scenario = question.scenarioOf(given.scenarioId);
    if (!scenario?.entry || given.scenarioId === except) return [];
    const entry = told?.id === given.scenarioId ? { ...given, score: told.confidence } : given;
    const needed = told || entry.entailed ? question.settings.entry_threshold : bar;
    const refusal =
      closed(scenario, question) ??
      (judged && !entry.entailed && told?.id !== entry.scenarioId
        ? "judged not to start"
        : undefined) ??
      (entry.score < needed ? `${shown(entry.score)} is below ${needed}` : undefined) ??
      (entry.outdone && !judged && !entry.entailed
        ? "a rule explains the message better"
        : undefined);
    return [{ ...entry, scenario, stepId: scenario.entry.id, refusal }];
  });
  const first = foremost(
    candidates.filter(({ refusal }) => refusal === undefined),
    question.settings.margin,
  );
  return {
    taken: first && {
      scenario: first.scenario,
      stepId: first.stepId,
      score: first.score,
      isTold: first.entailed === true || told?.id === first.scenarioId,
    },
    moves: candidates.map((each) => ({
      kind: "entry",
      id: each.scenarioId,
      toStepId: each.stepId,
      score: each.score,
      taken: each === first,
      reason: each.refusal ?? (each === first ? why(each, told?.id) : "another comes first"),
    })),
  };
}

function why({ entailed, score, scenarioId }: Candidate, judgedId: string | undefined): string {
  if (entailed) return "a relation brings it in";
  return judgedId === scenarioId ? "judged to be meant" : `${shown(score)} is enough`;
}

function foremost(open: readonly Candidate[], margin: number): Candidate | undefined {
  const entailed = open.filter((each) => each.entailed);
  const group = entailed.length > 0 ? entailed : open;
  const bestScore = Math.max(0, ...group.map(({ score }) => score));
  return group
    .filter(({ score }) => score >= bestScore - margin)
    .toSorted(
      (a, b) => b.scenario.scenario.priority - a.scenario.scenario.priority || b.score - a.score,
    )[0];
}

/** Why a scenario can't start, whatever its score. */
function closed(
  { scenario, entry }: CompiledScenario,
  question: NavigationQuestion,
): string | undefined {
  if (scenario.disabled) return "disabled";
  if (question.blocked.has(scenario.id)) return "overridden";
  const guard = question.holds(scenario.entryGuard);
  if (!guard.holds) return guard.error ? `guard: ${guard.error}` : "its guard is false";
  const needs = [
    ...scenario.requiredFields.map((field) => ({ field, verified: false })),
    ...(entry?.requiredFields ?? []),
  ];
  const missing = needs.filter((need) => !question.knows(need)).map(({ field }) => field);
  if (missing.length > 0) return `needs ${missing.join(", ")}`;
  return loopAt(scenario.id, entry?.id ?? "", question);
}

function shown(score: number): string {
  return score.toFixed(2);
}
