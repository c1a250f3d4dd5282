import { type CelInput, isCelError, parse, plan } from "@bufbuild/cel";
import { meteredEnvironment } from "./expression-budget.ts";
import type { KnownValues } from "./known-values.ts";

/** What an expression came to; one that can't be evaluated counts as false, and says why. */
export interface Verdict {
  readonly holds: boolean;
  readonly error?: string;
}

type Program = (bindings: Readonly<Record<string, CelInput>>) => Verdict;

const metered = meteredEnvironment();

/** The CEL expressions of one bundle: each is planned once, at its first use. */
export interface Expressions {
  /** The empty expression is true. */
  evaluate(expression: string, bindings: Bindings): Verdict;
}

export type Bindings = Readonly<Record<string, CelInput>>;

export function expressions(): Expressions {
  const programs = new Map<string, Program>();
  return {
    evaluate(expression, bindings) {
      if (expression.trim() === "") return { holds: true };
      let program = programs.get(expression);
      if (!program) {
        program = compile(expression);
        programs.set(expression, program);
      }
      return program(bindings);
    },
  };
}

/** The names that an expression may use. Missing keys are errors, as CEL has it: use has(). */
export function bindingsOf(known: KnownValues): Bindings {
  return {
    session: {
      ...known.session,
      // CEL does not mix whole numbers with others in arithmetic, and a turn is a whole number.
      turn: BigInt(known.session.turn),
      fields: known.fields,
    },
    customer: known.customer,
    agent: known.agent,
    profile: known.profile,
    provenance: known.provenance,
    fields: known.fields,
    variables: known.variables,
    results: known.results,
    message: known.message,
    context: known.context,
  };
}

function compile(expression: string): Program {
  try {
    const evaluate = plan(metered.environment, parse(expression));
    return (bindings) => {
      const result = metered.budgeted(() => evaluate(bindings));
      if (result === undefined) return { holds: false, error: "takes too long" };
      if (isCelError(result)) return { holds: false, error: result.message };
      if (typeof result !== "boolean") return { holds: false, error: "is not true or false" };
      return { holds: result };
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return () => ({ holds: false, error: reason });
  }
}
