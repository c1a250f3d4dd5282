import type { Rule } from "@soldier/proto/config/v1/rule";
import { Scope, ScopeSchema } from "@soldier/proto/config/v1/rule";
import type { DraftIndex } from "./draft-index.ts";
import { type Notes, unknownName } from "./problem.ts";
import { checkExpression, checkPattern, checkTemplate, type Vocabulary } from "./vocabulary.ts";

export function checkRule(rule: Rule, notes: Notes, known: Vocabulary, index: DraftIndex): void {
  checkScope(rule, notes, index);
  const isGlobal = rule.scope === Scope.GLOBAL || rule.scope === Scope.UNSPECIFIED;
  if (rule.alwaysOn && !(rule.hardConstraint && isGlobal)) {
    const text = "is only for a rule with hard_constraint and scope GLOBAL";
    notes.wrong("always_on", "ALWAYS_ON_INVALID", text);
  }
  checkExpression(notes, "guard", rule.guard, known);
  for (const [i, check] of rule.checks.entries()) {
    const { kind } = check;
    const field = `checks[${i}]`;
    if (kind.case === "mustInclude")
      checkTemplate(notes, `${field}.must_include`, kind.value, known);
    if (kind.case === "mustMatch") checkPattern(notes, `${field}.must_match`, kind.value);
    if (kind.case === "mustNotMatch") checkPattern(notes, `${field}.must_not_match`, kind.value);
    if (kind.case === "expression")
      checkExpression(notes, `${field}.expression`, kind.value, known, ["reply"]);
  }
  if (!rule.condition && rule.examples.length === 0 && !rule.alwaysOn) {
    const text = "without a condition or examples nothing matches it; only a relation brings it in";
    notes.doubtful("condition", "NEVER_MATCHES", text);
  }
  const acts =
    rule.action || rule.toolIds.length > 0 || rule.templateIds.length > 0 || rule.checks.length > 0;
  if (!acts) notes.doubtful("action", "NO_EFFECT", "has no action, tool, template or check");
}

/** SCENARIO needs a scenario, STEP a step in it, and GLOBAL neither. */
export function checkScope(
  { scope, scenarioId, stepId }: Pick<Rule, "scope" | "scenarioId" | "stepId">,
  notes: Notes,
  index: DraftIndex,
): void {
  const needsScenario = scope === Scope.SCENARIO || scope === Scope.STEP;
  if (needsScenario && !scenarioId)
    notes.wrong(
      "scenario_id",
      "SCOPE_INVALID",
      `is needed with scope ${ScopeSchema.value[scope]?.localName}`,
    );
  if (!needsScenario && scenarioId)
    notes.wrong("scenario_id", "SCOPE_INVALID", "needs scope SCENARIO or STEP");
  if (scope === Scope.STEP && !stepId)
    notes.wrong("step_id", "SCOPE_INVALID", "is needed with scope STEP");
  if (scope !== Scope.STEP && stepId) notes.wrong("step_id", "SCOPE_INVALID", "needs scope STEP");
  const scenario = scenarioId ? index.find("scenarios", scenarioId) : undefined;
  if (!stepId || scenario?.$typeName !== "soldier.config.v1.Scenario") return;
  const steps = scenario.steps.map(({ id }) => id);
  if (!steps.includes(stepId))
    notes.wrong("step_id", "STEP_UNKNOWN", unknownName(`step of ${scenario.name}`, stepId, steps));
}
