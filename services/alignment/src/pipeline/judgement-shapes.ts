import { z } from "zod";
import { callsShape } from "./tool-proposals.ts";

const share = z.number().min(0).max(1);

/** What a message means. */
export const contextShape = z.object({
  intent: z.string(),
  topic: z.string(),
  sentiment: z.number().min(-1).max(1),
  signal: z.enum(["none", "start", "continue", "exit"]),
  entities: z.array(z.object({ name: z.string(), text: z.string() })).default([]),
});

/** Which rules apply, each by the id that it has in the question. */
export const rulesShape = z.object({
  rules: z.array(
    z.object({ id: z.string(), applies: z.boolean(), confidence: share, reason: z.string() }),
  ),
});

/** Where the message leads, and what it gives for fields. */
export const scenarioShape = z.object({
  move: z.object({
    kind: z.enum(["edge", "stay", "exit", "entry", "none"]),
    id: z.string(),
    confidence: share,
  }),
  fields: z.array(z.object({ name: z.string(), value: z.string(), confidence: share })).default([]),
});

/** All of it at once, with the calls of tools that the message asks for. */
export const judgementShape = z.object({
  ...contextShape.shape,
  ...rulesShape.shape,
  ...scenarioShape.shape,
  calls: callsShape.default([]),
});

export type ContextAnswer = z.output<typeof contextShape>;
export type RulesAnswer = z.output<typeof rulesShape>;
export type ScenarioAnswer = z.output<typeof scenarioShape>;
export type JudgementAnswer = z.output<typeof judgementShape>;
