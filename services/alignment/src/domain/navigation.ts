import { VisitReason } from "@soldier/proto/session/v1/session";
import { advance } from "./advance.ts";
import type { CompiledScenario } from "./compiled-bundle.ts";
import { type Correction, correctionOf } from "./correction.ts";
import { type EdgeChoice, edgeOnMessage, edgeUnattended } from "./edge-choice.ts";
import { chooseEntry, type EntryChoice } from "./entry-choice.ts";
import type { Navigation, NavigationGround, NavigationQuestion } from "./navigation-question.ts";
import { rowFor, type Situation } from "./navigation-table.ts";
import { type Relocalisation, relocalised } from "./relocalisation.ts";
import { Walk } from "./walk.ts";

/** A signal to leave is followed from here on. */
const exitThreshold = 0.8;

/**
 * Where a session is after a message. In no scenario, or in one at one step, before and after; every
 * change is a visit with its reason, and every move that was thought of is told.
 */
export function navigate(question: NavigationQuestion): Navigation {
  const walk = new Walk(question);
  const first = decided(walk, question, undefined);
  // Out of one scenario, another may start in the same turn.
  if (first.move === "exit") decided(walk, question, first.notAgain);
  advance(walk, question);
  return walk.end();
}

/**
 * Goes on from where a session is without the customer, as far as guards and known data allow: after
 * a step's tools have run.
 */
export function goOn(ground: NavigationGround): Navigation {
  const walk = new Walk(ground);
  const here = walk.position?.stepId;
  advance(walk, ground, (stepId) => stepId === here || walk.isFresh(stepId));
  return walk.end();
}

/** What was looked at to tell the situation; each part only where it is asked for. */
interface Looked {
  readonly situation: Situation;
  readonly scenario?: CompiledScenario | undefined;
  readonly choice?: EdgeChoice;
  readonly correction?: Correction | undefined;
  readonly elsewhere?: EntryChoice;
  readonly entry?: EntryChoice;
  readonly search?: Relocalisation | undefined;
  /** Nobody finds the message at home here: one such turn more. */
  readonly implausible?: boolean;
}

/** Makes the one move that the table has for the situation. */
function decided(walk: Walk, question: NavigationQuestion, notAgain: string | undefined) {
  const looked = walk.position ? lookedInside(walk, question) : lookedOutside(question, notAgain);
  const { situation, scenario, choice, correction, elsewhere, entry, search } = looked;
  const row = rowFor(situation);
  const { move } = row;
  walk.consider([
    ...(choice?.moves ?? []),
    ...(situation.elsewhere === "none" ? [] : (elsewhere?.moves ?? [])),
    ...(search?.moves ?? []),
    ...(entry?.moves ?? []),
  ]);
  const others = move === "exit" ? elsewhere?.taken : undefined;
  const leftFor = situation.elsewhere === "none" ? undefined : others;
  switch (move) {
    case "exit":
      walk.exit(leftFor?.score ?? 1, row.because);
      break;
    case "leave":
      walk.exit(leaving(question), row.because, true);
      break;
    case "find":
      if (search?.found)
        walk.go(search.found.stepId, VisitReason.RELOCALISATION, search.found.score, row.because);
      break;
    case "return":
      if (scenario && correction) wentBack(walk, scenario, correction, question);
      break;
    case "follow":
      if (choice?.taken) {
        const { edge, score, reason } = choice.taken;
        walk.go(edge.toStepId, VisitReason.TRANSITION, score, reason, edge.id);
      }
      break;
    case "start":
      if (entry?.taken) walk.start(entry.taken.scenario, entry.taken.stepId, entry.taken.score);
      break;
    case "stay":
      if (correction && correction.outcome !== "back") walk.consider([returning(correction)]);
      walk.stay(stays(looked, row.because));
      break;
    case "none":
      walk.stay(row.because);
      break;
  }
  if (question.heard)
    walk.lowConfidenceTurns =
      move === "stay" && looked.implausible ? walk.lowConfidenceTurns + 1 : 0;
  return { move, notAgain: leftFor && scenario?.scenario.id };
}

const nowhere: Situation = {
  place: "nowhere",
  overridden: false,
  correction: "none",
  elsewhere: "none",
  edge: "none",
  leaving: false,
  heard: true,
  terminal: false,
  ways: false,
  lost: false,
  findable: false,
  entry: false,
};

function lookedOutside(question: NavigationQuestion, notAgain: string | undefined): Looked {
  const entry = chooseEntry(question, { except: notAgain });
  const { heard } = question;
  return { entry, situation: { ...nowhere, heard, entry: entry.taken !== undefined } };
}

function lookedInside(walk: Walk, question: NavigationQuestion): Looked {
  const { scenarioId = "", stepId = "" } = walk.position ?? {};
  const scenario = question.scenarioOf(scenarioId);
  const { heard } = question;
  if (!scenario) return { situation: { ...nowhere, place: "scenario-gone", heard } };
  const step = scenario.steps.get(stepId);
  if (!step) {
    const search = relocalised(scenario, question);
    const findable = search.found !== undefined;
    return {
      scenario,
      search,
      situation: { ...nowhere, place: "step-gone", heard, findable },
    };
  }
  const choice = heard
    ? edgeOnMessage(scenario, step, question)
    : edgeUnattended(scenario, step, question);
  const correction = correctionOf(scenario, question);
  const elsewhere = chooseElsewhere(scenario, choice, question);
  const implausible = isImplausible(choice, question);
  const { low_confidence_turns_max } = question.settings;
  const lost = implausible && walk.lowConfidenceTurns + 1 >= low_confidence_turns_max;
  const search = lost ? relocalised(scenario, question) : undefined;
  return {
    scenario,
    choice,
    correction,
    elsewhere: elsewhere.choice,
    search,
    implausible,
    situation: {
      place: "step",
      overridden: question.blocked.has(scenario.scenario.id),
      correction: correction?.outcome ?? "none",
      elsewhere: elsewhere.by,
      edge: choice.taken?.by ?? "none",
      leaving: leaving(question) >= exitThreshold,
      heard,
      terminal: step.terminal,
      ways: choice.edges > 0,
      lost,
      findable: search?.found !== undefined,
      entry: false,
    },
  };
}

/** Whether another scenario starts: by a word for it, or so clearly that nothing here can be meant. */
function chooseElsewhere(
  { scenario: { id } }: CompiledScenario,
  { bestScore }: EdgeChoice,
  question: NavigationQuestion,
): { readonly by: Situation["elsewhere"]; readonly choice: EntryChoice } {
  const { entry_threshold, margin } = question.settings;
  const choice = chooseEntry(question, { except: id, bar: entry_threshold + margin });
  if (!choice.taken) return { by: "none", choice };
  if (choice.taken.isTold) return { by: "told", choice };
  const isFree = question.heard && !question.digression && !question.gives;
  const isAhead = choice.taken.score >= bestScore + margin;
  return { by: isFree && isAhead ? "scored" : "none", choice };
}

/** What the message means has no place among the edges. */
function isImplausible(
  { implausible }: EdgeChoice,
  { heard, digression, gives, judged, settings }: NavigationQuestion,
): boolean {
  const keptBy = judged?.kind === "stay" && judged.confidence >= settings.transition_threshold;
  return heard && implausible && !digression && !gives && !keptBy;
}

function leaving({ judged, exitSignal }: NavigationQuestion): number {
  return judged?.kind === "exit" ? Math.max(judged.confidence, exitSignal) : exitSignal;
}

/** The message is looked at once more from the step that the changed answer leads back to. */
function wentBack(
  walk: Walk,
  scenario: CompiledScenario,
  correction: Correction,
  question: NavigationQuestion,
): void {
  const { stepId, reason } = correction;
  walk.consider([returning(correction)]);
  walk.go(stepId, VisitReason.RELOCALISATION, 1, reason);
  const step = scenario.steps.get(stepId);
  if (!step || step.toolIds.length > 0) return; // its tools run first, with the new value
  const { position, visits } = walk;
  const again = { ...question, position, visits, judged: undefined, digression: false };
  const { taken } = edgeOnMessage(scenario, step, again);
  if (!taken) return;
  const { edge, score, by } = taken;
  // What needs no message is followed, and counted, as everything that goes on by itself.
  if (by !== "message") return;
  walk.consider([
    {
      kind: "edge",
      id: edge.id,
      toStepId: edge.toStepId,
      score,
      taken: true,
      reason: taken.reason,
    },
  ]);
  walk.go(edge.toStepId, VisitReason.TRANSITION, score, taken.reason, edge.id);
}

function returning({ field, stepId, outcome, reason }: Correction) {
  const taken = outcome === "back";
  return { kind: "return", id: field, toStepId: stepId, score: 1, taken, reason } as const;
}

/** Why it stays, as exactly as it is known. */
function stays({ situation, choice, correction }: Looked, because: string): string {
  if (situation.overridden || !situation.heard) return because;
  if (correction) return correction.reason;
  return situation.ways ? (choice?.reason ?? because) : because;
}
