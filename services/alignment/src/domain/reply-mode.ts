import { TemplateMode } from "@soldier/proto/config/v1/template";
import type { CompiledBundle } from "./compiled-bundle.ts";
import type { Place } from "./scope.ts";

/** EXCLUSIVE: every reply is a template that is in scope, word for word. */
export type ReplyMode = "SUGGEST" | "EXCLUSIVE";

/** How strictly templates are used at a place: the step's mode, else the scenario's, else the agent's. */
export function replyMode(bundle: CompiledBundle, { scenarioId, stepId }: Place): ReplyMode {
  const home = bundle.scenariosById.get(scenarioId);
  const modes = [home?.steps.get(stepId)?.replyMode, home?.scenario.replyMode];
  const own = modes.find((mode) => mode !== undefined && mode !== TemplateMode.UNSPECIFIED);
  return modeOf(own) ?? agentsReplyMode(bundle);
}

/** Only where the agent as a whole is EXCLUSIVE do templates for everywhere need no one to name them. */
export function agentsReplyMode({ agent }: Pick<CompiledBundle, "agent">): ReplyMode {
  return modeOf(agent.settings?.replyMode) ?? "SUGGEST";
}

function modeOf(mode: TemplateMode | undefined): ReplyMode | undefined {
  if (mode === TemplateMode.EXCLUSIVE) return "EXCLUSIVE";
  return mode === TemplateMode.SUGGEST ? "SUGGEST" : undefined;
}
