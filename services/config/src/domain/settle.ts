import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { problemsOf } from "./check-draft.ts";
import { completed } from "./complete.ts";
import type { Problem } from "./problem.ts";
import { withIds } from "./resolve.ts";
import { stamped } from "./stamp.ts";

export interface Settled {
  /** Completed, with references as ids and stamped scenarios; only of use without problems. */
  readonly draft: AgentDocument;
  readonly problems: readonly Problem[];
}

/** Makes a draft of what an author wrote. `before` is the draft that it takes the place of. */
export function settle(wanted: AgentDocument, before: AgentDocument): Settled {
  const dangling: Problem[] = [];
  const linked = withIds(completed(wanted), dangling);
  return { draft: stamped(linked, before), problems: [...dangling, ...problemsOf(linked)] };
}

/** The problems that keep a draft from being saved or published. */
export function errorsOf(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter(({ warning }) => !warning);
}

/**
 * The errors that a change brings. What was wrong before may stay, so that a draft from before a
 * stricter check can be mended piece by piece.
 */
export function newErrors(settled: Settled, before: AgentDocument): readonly Problem[] {
  const errors = errorsOf(settled.problems);
  if (errors.length === 0) return errors;
  const key = ({ field, description }: Problem) => `${field}\n${description}`;
  const old = new Set(errorsOf(settle(before, before).problems).map(key));
  return errors.filter((problem) => !old.has(key(problem)));
}
