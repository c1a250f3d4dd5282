import { isTemplateName } from "@soldier/kernel/template-text";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { type Rule, Scope } from "@soldier/proto/config/v1/rule";
import {
  type Template,
  TemplateKind,
  TemplateKindSchema,
  TemplateMode,
  TemplateModeSchema,
} from "@soldier/proto/config/v1/template";
import { checkScope } from "./check-rule.ts";
import type { DraftIndex } from "./draft-index.ts";
import { agentReferences, kindOf } from "./kinds.ts";
import type { Notes } from "./problem.ts";
import { checkExpression, checkPath, templateNames, type Vocabulary } from "./vocabulary.ts";

/** What a draft as a whole says of its templates. */
export interface TemplateUse {
  /** Ids of the templates that a rule that is enabled, a step or the agent names. */
  readonly named: ReadonlySet<string>;
  /** Ids of those that rules name, all of which are disabled. */
  readonly asleep: ReadonlySet<string>;
  /** Every reply is a template, so that those for everywhere are said without being named. */
  readonly agentIsExclusive: boolean;
  /** The agent's own fallback, by id; "" for none. */
  readonly fallback: string;
}

export function templateUse(draft: AgentDocument): TemplateUse {
  const idsOf = (rules: readonly Rule[]) => rules.flatMap(({ templateIds }) => templateIds);
  const named = new Set([
    ...idsOf(draft.rules.filter(({ disabled }) => !disabled)),
    ...draft.scenarios
      .flatMap((scenario) => kindOf("scenarios").references(scenario))
      .filter(({ to }) => to === "templates")
      .map(({ value }) => value),
    ...(draft.agent ? agentReferences(draft.agent).map(({ value }) => value) : []),
  ]);
  return {
    named,
    asleep: new Set(idsOf(draft.rules).filter((id) => !named.has(id))),
    agentIsExclusive: draft.agent?.settings?.replyMode === TemplateMode.EXCLUSIVE,
    fallback: draft.agent?.settings?.fallbackTemplateId ?? "",
  };
}

export function checkTemplateResource(
  template: Template,
  notes: Notes,
  known: Vocabulary,
  index: DraftIndex,
  use: TemplateUse,
): void {
  checkScope(template, notes, index);
  checkText(template, notes, known, use);
  for (const [i, name] of template.requiredNames.entries()) {
    const field = `required_names[${i}]`;
    if (!isTemplateName(name))
      notes.wrong(field, "TEMPLATE_SYNTAX", `"${name}" is not a name; write it without braces`);
    else if (isGenerative(name))
      notes.wrong(field, "GENERATIVE_INVALID", "a name that a model fills in can't be required");
    else checkPath(notes, field, name, known);
  }
  checkExpression(notes, "conditions", template.conditions, known);
  // A number that the contract does not name would be taken for something that nobody meant.
  if (!TemplateModeSchema.value[template.mode])
    notes.wrong("mode", "MODE_UNKNOWN", "is SUGGEST, EXCLUSIVE or FALLBACK");
  if (!TemplateKindSchema.value[template.kind])
    notes.wrong("kind", "KIND_UNKNOWN", "is ANSWER or PREAMBLE");
  if (template.kind === TemplateKind.PREAMBLE && template.mode === TemplateMode.EXCLUSIVE)
    notes.wrong("mode", "PREAMBLE_INVALID", "a PREAMBLE only opens a reply: it can't be EXCLUSIVE");
  if (template.kind === TemplateKind.PREAMBLE && template.mode === TemplateMode.FALLBACK)
    notes.wrong("mode", "PREAMBLE_INVALID", "a PREAMBLE never answers: it can't be a FALLBACK");
  if (template.kind === TemplateKind.PREAMBLE && template.id === use.fallback)
    notes.wrong("kind", "PREAMBLE_INVALID", "a PREAMBLE can't be the agent's fallback");
  checkReach(template, notes, use);
}

/** Names that a model fills in are only for texts that a model may choose. */
function checkText(template: Template, notes: Notes, known: Vocabulary, use: TemplateUse): void {
  const { kind, mode, id } = template;
  for (const name of templateNames(notes, "text", template.text)) {
    if (!isGenerative(name)) {
      checkPath(notes, "text", name, known);
      continue;
    }
    if (name === "generative")
      notes.wrong(
        "text",
        "GENERATIVE_INVALID",
        "{generative} needs a name after it: {generative.…}",
      );
    if (mode === TemplateMode.FALLBACK || id === use.fallback)
      notes.wrong(
        "text",
        "GENERATIVE_INVALID",
        `a FALLBACK is said without a model, {${name}} needs one`,
      );
    else if (kind === TemplateKind.PREAMBLE)
      notes.wrong(
        "text",
        "GENERATIVE_INVALID",
        `a PREAMBLE is said as it stands, {${name}} needs a model`,
      );
  }
}

function isGenerative(name: string): boolean {
  return name === "generative" || name.startsWith("generative.");
}

/** A warning for what no turn would ever say. */
function checkReach(template: Template, notes: Notes, use: TemplateUse): void {
  if (use.named.has(template.id)) return;
  const never = (why: string) => notes.doubtful("", "NEVER_USED", why);
  if (use.asleep.has(template.id)) return never("only rules that are disabled name it");
  const isPlaced = template.scope === Scope.SCENARIO || template.scope === Scope.STEP;
  if (template.mode === TemplateMode.FALLBACK && !isPlaced)
    return never(
      "a FALLBACK for everywhere is said only where a rule, a step or the agent names it",
    );
  const offersItself =
    isPlaced ||
    template.conditions !== "" ||
    template.kind === TemplateKind.PREAMBLE ||
    use.agentIsExclusive;
  if (!offersItself) never("no rule, step or setting names it");
}

/** Reply modes that mean nothing, and places that have to speak by templates and have none. */
export function checkReplyModes(
  { agent, scenarios, templates, rules }: AgentDocument,
  notesAt: (place: string) => Notes,
): void {
  const agents = agent?.settings?.replyMode ?? TemplateMode.UNSPECIFIED;
  const ownNotes = notesAt("agent");
  checkMode(agents, "settings.reply_mode", ownNotes);
  if (agents === TemplateMode.EXCLUSIVE && !agent?.settings?.fallbackTemplateId)
    ownNotes.doubtful(
      "settings.fallback_template_id",
      "FALLBACK_MISSING",
      "every reply is a template, but where none can be said a built-in sentence is: name a FALLBACK",
    );
  const unnamed = (id: string) => !rules.some(({ templateIds }) => templateIds.includes(id));
  for (const scenario of scenarios) {
    const notes = notesAt(`scenarios/${scenario.name}`);
    checkMode(scenario.replyMode, "reply_mode", notes);
    for (const [i, step] of scenario.steps.entries()) {
      checkMode(step.replyMode, `steps[${i}].reply_mode`, notes);
      const mode = [step.replyMode, scenario.replyMode, agents].find(Boolean);
      if (mode !== TemplateMode.EXCLUSIVE || step.templateIds.length > 0) continue;
      const isHere = ({
        scope,
        scenarioId,
        stepId,
      }: Pick<Rule, "scope" | "scenarioId" | "stepId">) =>
        scenarioId === scenario.id && (scope === Scope.SCENARIO || stepId === step.id);
      const speaks =
        templates.some(
          (template) =>
            template.mode !== TemplateMode.FALLBACK &&
            (isHere(template) ||
              (isGlobal(template) &&
                unnamed(template.id) &&
                (agents === TemplateMode.EXCLUSIVE || template.conditions !== ""))),
        ) ||
        rules.some(
          (rule) =>
            !rule.disabled && rule.templateIds.length > 0 && (isGlobal(rule) || isHere(rule)),
        );
      if (!speaks)
        notes.doubtful(
          `steps[${i}]`,
          "NO_TEMPLATE",
          `at step "${step.id}" every reply is a template, but no template can be said there`,
        );
    }
  }
}

function isGlobal({ scope }: Pick<Rule, "scope">): boolean {
  return scope === Scope.GLOBAL || scope === Scope.UNSPECIFIED;
}

function checkMode(mode: TemplateMode, field: string, notes: Notes): void {
  if (mode === TemplateMode.FALLBACK || !TemplateModeSchema.value[mode])
    notes.wrong(field, "REPLY_MODE_INVALID", "is SUGGEST or EXCLUSIVE");
}
