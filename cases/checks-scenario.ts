import type { Check } from "./check.ts";
import { differs, hasAny, lacks, namesIn, recordIn, shown, textIn } from "./expected.ts";
import { jsonOfValue } from "./engine-words.ts";
import type { Ran } from "./run-case.ts";

/** The scenario that the session is in, by the case's name: none or one. */
function active({ session, bundle, names }: Ran): readonly string[] {
  const id = session?.state?.position?.scenarioId;
  const name = bundle?.scenarios.find((each) => each.id === id)?.name;
  return name === undefined ? [] : [names.things.back(name)];
}

/** Steps that the session came to, oldest first. */
function path({ session, names }: Ran): readonly string[] {
  return (session?.state?.visits ?? [])
    .filter(({ stepId }) => stepId !== "")
    .map(({ stepId }) => names.things.back(stepId));
}

function stepOf({ session, names }: Ran): string | undefined {
  const id = session?.state?.position?.stepId;
  return id === undefined ? undefined : names.things.back(id);
}

export const scenarioChecks: Readonly<Record<string, Check>> = {
  scenarios_active: (expected, ran) => lacks(namesIn(expected), active(ran)),
  scenarios_active_exactly: (expected, ran) => differs(namesIn(expected), active(ran)),
  scenarios_not_active: (expected, ran) => hasAny(namesIn(expected), active(ran)),
  path: (expected, ran) => differs(namesIn(expected), path(ran), true),
  path_contains: (expected, ran) => lacks(namesIn(expected), path(ran)),
  path_not_contains: (expected, ran) => hasAny(namesIn(expected), path(ran)),
  step(expected, ran) {
    const got = stepOf(ran);
    if ((expected ?? undefined) === got) return undefined;
    return `expected ${shown(expected)}, got ${shown(got)} (${ran.records.at(-1)?.navigation?.reason ?? ""})`;
  },
  step_in: (expected, ran) =>
    namesIn(expected).includes(stepOf(ran) ?? "")
      ? undefined
      : `expected one of ${shown(expected)}, got ${shown(stepOf(ran))}`,
  step_not: (expected, ran) =>
    namesIn(expected).includes(stepOf(ran) ?? "") ? `is at ${shown(expected)}` : undefined,
  /** Words of why the session is where it is. */
  navigation_reason(expected, ran) {
    const { reason = "", moves = [] } = ran.records.at(-1)?.navigation ?? {};
    const told = [reason, ...moves.map((move) => move.reason)].join("; ");
    return told.includes(textIn(expected)) ? undefined : `got ${shown(told)}`;
  },
  /** What the conversation has collected, by field. */
  fields_known(expected, ran) {
    const fields = ran.session?.state?.fields ?? {};
    const wrong = Object.entries(recordIn(expected)).flatMap(([name, value]) => {
      const got = jsonOfValue(fields[ran.names.values.of(name)]);
      return shown(got ?? null) === shown(value) ? [] : [`${name} is ${shown(got)}`];
    });
    return wrong.length === 0 ? undefined : `expected ${shown(expected)}, but ${wrong.join(", ")}`;
  },
};
