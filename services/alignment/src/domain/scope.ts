import { Scope } from "@soldier/proto/config/v1/rule";

/** Where a session is; empty strings when in no scenario. */
export interface Place {
  readonly scenarioId: string;
  readonly stepId: string;
}

export const nowhere: Place = { scenarioId: "", stepId: "" };

/** Something that may apply everywhere, in one scenario, or at one step of it. */
export interface Scoped {
  readonly scope: Scope;
  readonly scenarioId: string;
  readonly stepId: string;
}

export function inScope(thing: Scoped, place: Place): boolean {
  switch (thing.scope) {
    case Scope.SCENARIO:
      return thing.scenarioId === place.scenarioId;
    case Scope.STEP:
      return thing.scenarioId === place.scenarioId && thing.stepId === place.stepId;
    case Scope.GLOBAL:
    case Scope.UNSPECIFIED:
    default:
      return true;
  }
}

export function isGlobal({ scope }: Scoped): boolean {
  return scope === Scope.GLOBAL || scope === Scope.UNSPECIFIED;
}
