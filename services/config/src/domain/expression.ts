import { celEnv, parse } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { remembered } from "./remembered.ts";

type Expr = ReturnType<typeof parse>["expr"];

/** A name at the head of an expression, and the key taken of it, when it is written out. */
export interface NameUse {
  readonly root: string;
  /** "x" in `profile.x` and in `profile["x"]`. */
  readonly key?: string;
}

/** What a CEL expression says of itself without being run. */
export interface Expression {
  /** Why it does not compile. */
  readonly error?: string;
  /** Why it would take too long in every turn. */
  readonly excess?: string;
  /** Each free name once per key. */
  readonly names: readonly NameUse[];
  /** Functions and methods called that CEL does not have. */
  readonly unknownFunctions: readonly string[];
}

/** The functions that turns evaluate with: CEL's own and its extension for strings. */
const functions = celEnv({ funcs: strings }).funcs;
/** Macros leave no call behind; these are calls that the planner answers itself. */
const builtInCalls = /^(?:[^A-Za-z]|@)/;

/** More parts than that are a program, and loops in loops in loops take their time in every turn. */
const partsMax = 1_000;
const nestedLoopsMax = 2;

/** Parses the expression; the same text is parsed once. */
export const readExpression = remembered(20_000, (text): Expression => {
  try {
    const names = new Map<string, NameUse>();
    const unknownFunctions = new Set<string>();
    const size = { parts: 0, nestedLoops: 0 };
    walk(parse(text).expr, new Set(), {
      part(loops) {
        size.parts++;
        size.nestedLoops = Math.max(size.nestedLoops, loops);
      },
      name: (use) => names.set(`${use.root} ${use.key ?? ""}`, use),
      call(name) {
        if (!builtInCalls.test(name) && !functions.find(name)) unknownFunctions.add(name);
      },
    });
    const excess = excessOf(size);
    return {
      ...(excess !== undefined && { excess }),
      names: [...names.values()],
      unknownFunctions: [...unknownFunctions],
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { error: why.replace("<input>:", "at line "), names: [], unknownFunctions: [] };
  }
});

function excessOf({ parts, nestedLoops }: { parts: number; nestedLoops: number }) {
  if (parts > partsMax) return `has ${parts} parts; at most ${partsMax} are evaluated`;
  if (nestedLoops > nestedLoopsMax)
    return `nests macros ${nestedLoops} deep; at most ${nestedLoopsMax} are evaluated`;
  return undefined;
}

interface Visitor {
  /** With the number of macros that it is inside of. */
  part(loops: number): void;
  name(use: NameUse): void;
  call(name: string): void;
}

function walk(expr: Expr | undefined, bound: ReadonlySet<string>, visit: Visitor, loops = 0): void {
  const kind = expr?.exprKind;
  if (kind?.case) visit.part(loops);
  const each = (children: readonly (Expr | undefined)[]) => {
    for (const child of children) walk(child, bound, visit, loops);
  };
  switch (kind?.case) {
    case "identExpr":
      if (!bound.has(kind.value.name)) visit.name({ root: kind.value.name });
      return;
    case "selectExpr": {
      const root = freeName(kind.value.operand, bound);
      if (root === undefined) return walk(kind.value.operand, bound, visit, loops);
      return visit.name({ root, key: kind.value.field });
    }
    case "callExpr": {
      const { function: name, target, args } = kind.value;
      visit.call(name);
      const root = name === "_[_]" ? freeName(args[0], bound) : undefined;
      const key = textOf(args[1]);
      if (root !== undefined && key !== undefined) return visit.name({ root, key });
      return each([target, ...args]);
    }
    case "listExpr":
      return each(kind.value.elements);
    case "structExpr":
      for (const { keyKind, value } of kind.value.entries)
        each([keyKind.case === "mapKey" ? keyKind.value : undefined, value]);
      return;
    case "comprehensionExpr": {
      const { iterVar, iterVar2, accuVar, iterRange, accuInit, ...inside } = kind.value;
      each([iterRange, accuInit]);
      const within = new Set([...bound, iterVar, iterVar2, accuVar]);
      for (const part of [inside.loopCondition, inside.loopStep, inside.result])
        walk(part, within, visit, loops + 1);
      return;
    }
    case "constExpr":
    case undefined:
      return;
  }
}

function freeName(expr: Expr | undefined, bound: ReadonlySet<string>): string | undefined {
  const kind = expr?.exprKind;
  return kind?.case === "identExpr" && !bound.has(kind.value.name) ? kind.value.name : undefined;
}

function textOf(expr: Expr | undefined): string | undefined {
  const kind = expr?.exprKind;
  if (kind?.case !== "constExpr") return undefined;
  const constant = kind.value.constantKind;
  return constant.case === "stringValue" ? constant.value : undefined;
}
