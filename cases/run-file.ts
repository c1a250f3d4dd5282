import { Fault } from "@soldier/kernel/fault";
import type { ReadCase } from "./case-file.ts";
import { judgedKeys, problemsOf, unknownKeys } from "./check.ts";
import { replyOf } from "./checks-reply.ts";
import { CannotBuild } from "./engine-words.ts";
import type { Judge } from "./judge.ts";
import { runCase, type Surroundings } from "./run-case.ts";

/** How a case ended. */
export interface Outcome {
  readonly id: string;
  readonly title: string;
  readonly area: string;
  readonly outcome: "ok" | "fail" | "skip";
  /** What was expected and what came, or why it was not run. */
  readonly reasons: readonly string[];
  readonly ms: number;
}

export interface Stage {
  /** Without any model. */
  readonly keyless: Surroundings;
  /** With the configured model, or a stand-in for one. */
  readonly withModel: Surroundings;
  /** Undefined without a real model. */
  readonly judge: Judge | undefined;
}

export async function runOne(read: ReadCase, stage: () => Promise<Stage>): Promise<Outcome> {
  const startedMs = performance.now();
  const { id, title, area } = read;
  const ended = (outcome: Outcome["outcome"], reasons: readonly string[]): Outcome => ({
    id,
    title,
    area,
    outcome,
    reasons,
    ms: Math.round(performance.now() - startedMs),
  });
  if (!read.case) return ended("fail", read.problems);
  const { tier, expect } = read.case;
  const unknown = unknownKeys(expect);
  if (unknown.length > 0)
    return ended(
      "fail",
      unknown.map((key) => `cannot check: ${key}`),
    );
  if (Object.keys(expect).length === 0) return ended("fail", ["cannot check: it expects nothing"]);
  const { keyless, withModel, judge } = await stage();
  try {
    const ran = await runCase(read.case, tier === "D0" ? keyless : withModel);
    const problems = [...problemsOf(ran)];
    const judged = judgedKeys.filter((key) => key in expect);
    if (judged.length > 0 && judge) problems.push(...(await judge(expect, ran.plan, replyOf(ran))));
    if (problems.length > 0) return ended("fail", problems);
    if (judged.length === 0 || judge) return ended("ok", []);
    const rest = Object.keys(expect).filter((key) => !judgedKeys.includes(key));
    const checked = rest.length > 0 ? `; ${rest.join(", ")} hold` : "";
    return ended("skip", [
      `${judged.join(", ")} need a model to judge, and none has a key${checked}`,
    ]);
  } catch (error) {
    if (error instanceof CannotBuild) return ended("fail", [error.message]);
    if (error instanceof Fault) return ended("fail", [`${error.reason}: ${error.message}`]);
    return ended("fail", [
      `the runner failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    ]);
  }
}

/** A line for each case. */
export function lineOf({ id, title, outcome, reasons }: Outcome): string {
  const what = outcome === "fail" ? "FAIL" : outcome;
  return `${what} ${id} ${title}${reasons.length > 0 ? ` … ${reasons.join("; ")}` : ""}`;
}

export function sumOf(outcomes: readonly Outcome[]): string {
  const count = (which: Outcome["outcome"]) =>
    outcomes.filter((each) => each.outcome === which).length;
  return `${count("ok")} passed, ${count("fail")} failed, ${count("skip")} skipped`;
}
