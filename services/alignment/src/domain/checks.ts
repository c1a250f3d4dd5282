import type { Check, Rule } from "@soldier/proto/config/v1/rule";
import { parseTemplate } from "@soldier/kernel/template-text";
import type { Bindings, Expressions } from "./expressions.ts";
import { type KnownValues, lookUp } from "./known-values.ts";
import { maySay, says, unhidden } from "./folded-text.ts";
import { matchesNoSpace, pattern } from "./patterns.ts";
import { spoken } from "./templates.ts";

/** One thing that this turn's reply must keep to, and the rule that asks for it. */
export interface Constraint {
  readonly rule: Rule;
  readonly kind:
    | "must_include"
    | "must_not_include"
    | "must_match"
    | "must_not_match"
    | "length_max"
    | "expression"
    | "judge"
    | "critique";
  /** What a text must contain, match, or be judged by; for length_max the number of characters. */
  readonly demand: string;
}

/** What a check came to, for one attempt at a reply. */
export interface CheckResult {
  readonly constraint: Constraint;
  readonly passed: boolean;
  readonly reason: string;
}

/**
 * What the applied rules demand of the reply. A hard constraint without checks of its own is judged by
 * its action.
 */
export function constraintsOf(rules: readonly Rule[], known: KnownValues): readonly Constraint[] {
  return rules.flatMap((rule) => {
    const checks = rule.checks.flatMap((check) => constraint(rule, check, known) ?? []);
    if (checks.length > 0 || !rule.hardConstraint || rule.action === "") return checks;
    return [{ rule, kind: "judge", demand: rule.action } as const];
  });
}

function constraint(rule: Rule, { kind }: Check, known: KnownValues): Constraint | undefined {
  switch (kind.case) {
    case "mustInclude":
      return { rule, kind: "must_include", demand: filled(kind.value, known) };
    case "mustNotInclude":
      return { rule, kind: "must_not_include", demand: kind.value };
    case "mustMatch":
      return { rule, kind: "must_match", demand: kind.value };
    case "mustNotMatch":
      return { rule, kind: "must_not_match", demand: kind.value };
    case "lengthMax":
      return { rule, kind: "length_max", demand: String(kind.value) };
    case "expression":
      return { rule, kind: "expression", demand: kind.value };
    case "judge":
      return { rule, kind: "judge", demand: kind.value };
    case undefined:
      return undefined;
  }
}

/** Names that have no value stay as they are: the reply then lacks them, and the check says so. */
function filled(text: string, known: KnownValues): string {
  try {
    return parseTemplate(text)
      .map((part) =>
        part.kind === "text" ? part.text : (spoken(lookUp(known, part.name)) ?? `{${part.name}}`),
      )
      .join("");
  } catch {
    return text; // Braces that are no names are meant as they stand.
  }
}

/**
 * Whether whole sentences are enough to see it broken: then the rest need not be waited for. What a
 * pattern finds may reach over the end of a sentence only if it can match the space there.
 */
export function decidedEarly({ kind, demand }: Constraint): boolean {
  if (kind === "must_not_match") return matchesNoSpace(demand);
  return kind === "must_not_include" || kind === "length_max";
}

/** Whether a text breaks nothing yet, but its end could be the beginning of what must not be said. */
export function mayBreak({ kind, demand }: Constraint, text: string): boolean {
  return kind === "must_not_include" && maySay(text, demand);
}

/** A demand that any text keeps to that says little enough: only these bind what is said at last. */
export function isForbidding({ kind }: Constraint): boolean {
  return kind === "must_not_include" || kind === "must_not_match" || kind === "length_max";
}

/** A check that needs no model. A pattern or expression that can't be evaluated has failed. */
export function checked(
  constraint_: Constraint,
  text: string,
  expressions: Expressions,
  bindings: Bindings,
): CheckResult {
  const { kind, demand } = constraint_;
  const result = (passed: boolean, reason: string): CheckResult => ({
    constraint: constraint_,
    passed,
    reason: passed ? "" : reason,
  });
  switch (kind) {
    case "must_include":
      return result(says(text, demand), `lacks "${demand}"`);
    case "must_not_include":
      return result(!says(text, demand), `contains "${demand}"`);
    case "must_match":
      return result(matches(text, demand) ?? false, `does not match ${demand}`);
    case "must_not_match":
      return result(!(matches(text, demand) ?? true), `matches ${demand}`);
    case "length_max": {
      const length = Array.from(text).length;
      return result(
        length <= Number(demand),
        `has ${length} characters, at most ${demand} allowed`,
      );
    }
    case "expression": {
      const verdict = expressions.evaluate(demand, { ...bindings, reply: text });
      return result(verdict.holds, verdict.error ?? `${demand} is false`);
    }
    case "judge":
    case "critique":
      return result(true, "");
  }
}

/** Undefined when there is no such pattern. */
function matches(text: string, source: string): boolean | undefined {
  const found = pattern(source);
  return found && (found.test(text) || found.test(unhidden(text)));
}
