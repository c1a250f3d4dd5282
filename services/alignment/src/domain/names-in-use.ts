import { segmentsOf } from "@soldier/kernel/template-text";
import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Step } from "@soldier/proto/config/v1/scenario";
import type { CompiledBundle } from "./compiled-bundle.ts";
import { inScope, type Place } from "./scope.ts";
import { namesOf } from "./templates.ts";
import { namesInArguments } from "./tool-arguments.ts";

/** The variables that this turn's rules, templates, tools and expressions speak of. */
export function namesInUse(
  bundle: CompiledBundle,
  applied: readonly Rule[],
  step: Step | undefined,
  place: Place,
): ReadonlySet<string> {
  const templates = [
    ...[...applied.flatMap(({ templateIds }) => templateIds), ...(step?.templateIds ?? [])].flatMap(
      (id) => bundle.templatesById.get(id) ?? [],
    ),
    ...bundle.unnamedTemplates.filter(({ template }) => inScope(template, place)),
  ];
  const tools = [...applied.flatMap(({ toolIds }) => toolIds), ...(step?.toolIds ?? [])].flatMap(
    (id) => bundle.toolsById.get(id) ?? [],
  );
  const named = [...templates.flatMap(namesOf), ...tools.flatMap(namesInArguments)].map(variableIn);
  const wanted = new Set(applied.flatMap(({ variableIds }) => variableIds));
  const expressions = [
    ...templates.map(({ template }) => template.conditions),
    ...(step?.transitions ?? []).map(({ guard }) => guard),
    ...applied.flatMap(({ checks }) =>
      checks.map(({ kind }) => (kind.case === "expression" ? kind.value : "")),
    ),
  ].join("\n");
  return new Set(
    [...bundle.variables.values()]
      .filter(
        ({ id, name }) =>
          named.includes(name) ||
          wanted.has(id) ||
          expressions.includes(`variables.${name}`) ||
          expressions.includes(`variables["${name}"]`),
      )
      .map(({ name }) => name),
  );
}

/** The variable that a name may mean: "plan.tier" and "variables.plan.tier" mean "plan". */
function variableIn(name: string): string {
  const [head = "", next = ""] = segmentsOf(name);
  return head === "variables" ? next : head;
}
