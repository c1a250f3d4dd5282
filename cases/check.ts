import { z } from "zod";
import { engineChecks } from "./checks-engine.ts";
import { replyChecks } from "./checks-reply.ts";
import { ruleChecks } from "./checks-rules.ts";
import { scenarioChecks } from "./checks-scenario.ts";
import { toolChecks } from "./checks-tools.ts";
import { refusalProblem } from "./checks-config.ts";
import type { Ran } from "./run-case.ts";

/** What is wrong, in a few words; undefined when it is as expected. */
export type Check = (expected: unknown, ran: Ran) => string | undefined;

const checks: Readonly<Record<string, Check>> = {
  ...ruleChecks,
  ...replyChecks,
  ...toolChecks,
  ...scenarioChecks,
  ...engineChecks,
};

/** Expectations that a model has to judge. */
export const judgedKeys: readonly string[] = ["reply_semantic", "reply_semantic_not"];

const configKeys: readonly string[] = ["config_error", "config_error_preferred"];

/** Keys that nobody here can check: a case with one fails, whatever else holds. */
export function unknownKeys(expect: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(expect).filter(
    (key) => !Object.hasOwn(checks, key) && !judgedKeys.includes(key) && !configKeys.includes(key),
  );
}

/** Everything that is not as the case expects, but for what a model has to judge. */
export function problemsOf(ran: Ran): readonly string[] {
  const { expect } = ran.plan.case;
  const preferred = expect["config_error_preferred"];
  if (expect["config_error"] !== undefined)
    return [refusalProblem(expect["config_error"], ran.refused)].flatMap((one) => one ?? []);
  if (ran.refused)
    return preferred === undefined
      ? [`the config service refuses the agent: ${ran.refused.message}`]
      : [refusalProblem(preferred, ran.refused)].flatMap((one) => one ?? []);
  const failed = ran.said.flatMap(({ fault }) =>
    fault && fault.reason !== "TURN_SUPERSEDED" ? [fault] : [],
  );
  const told = ["error", "no_error", "status_events", "status_events_include"].some(
    (key) => key in expect,
  );
  if (failed[0] && !told) return [`the turn failed: ${failed[0].reason} ${failed[0].message}`];
  return Object.entries(expect).flatMap(([key, expected]) => {
    const check = checks[key];
    if (!check) return [];
    const problem = tried(key, () => check(expected, ran));
    return problem === undefined ? [] : [`${key}: ${problem}`];
  });
}

function tried(key: string, run: () => string | undefined): string | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof z.ZodError) return `cannot check: ${key} has a value of another kind`;
    throw error;
  }
}
