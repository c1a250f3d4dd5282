import { type CelFunc, celEnv } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { RE2JS } from "re2js";

/**
 * What one evaluation may spend: about one for each function called, and more for long texts. An
 * author's guard spends tens; so many take some tens of milliseconds, after which a turn goes on
 * without the answer.
 */
const budgetMax = 50_000;
/** Characters that cost as much as one call. */
const charactersPerUnit = 64;

/** CEL's functions with a meter on them: lists in lists, or texts grown by replacing, can't stall a turn. */
export function meteredEnvironment() {
  const spent = { units: 0 };
  const metered = (func: CelFunc): CelFunc =>
    // Inherits all else: the library knows its functions by more than their public properties.
    Object.create(func, {
      call: {
        value(...given: Parameters<CelFunc["call"]>) {
          spent.units += costOf(func.name, given[1], given[2]);
          if (spent.units > budgetMax) throw budgetSpent;
          return func.call(...given);
        },
      },
    });
  // Patterns may come from what customers write: linear time on any of them.
  const re2 = { compile: (source: string) => RE2JS.compile(source) };
  const plain = celEnv({ funcs: strings, re2 });
  return {
    environment: celEnv({ funcs: [...plain.funcs].map(metered) }),
    /** What it comes to; undefined when it would cost too much. */
    budgeted<T>(evaluate: () => T): T | undefined {
      spent.units = 0;
      const result = evaluate();
      // The library makes an error of what is thrown, and an operator may swallow that.
      return spent.units > budgetMax ? undefined : result;
    },
  };
}

const budgetSpent = new Error("the expression's budget is spent");

function costOf(name: string, target: unknown, args: readonly unknown[]): number {
  const lengths = [target, ...args].map((value) => (typeof value === "string" ? value.length : 0));
  const [own = 0, searched = 0, replacement = 0] = lengths;
  // Each occurrence copies the whole text with what it puts in.
  if (name === "replace")
    return 1 + ((own / Math.max(1, searched)) * (own + replacement)) / charactersPerUnit;
  return 1 + lengths.reduce((sum, length) => sum + length, 0) / charactersPerUnit;
}
