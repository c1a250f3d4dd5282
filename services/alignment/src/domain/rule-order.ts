import { type Rule, Scope } from "@soldier/proto/config/v1/rule";

/** The one order of rules: priority, then the narrower scope, then the older rule. */
export function compareRules(a: Rule, b: Rule): number {
  return (
    b.priority - a.priority ||
    narrowness(b) - narrowness(a) ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

function narrowness({ scope }: Rule): number {
  switch (scope) {
    case Scope.STEP:
      return 2;
    case Scope.SCENARIO:
      return 1;
    case Scope.GLOBAL:
    case Scope.UNSPECIFIED:
    default:
      return 0;
  }
}
