/**
 * What a case calls a thing and what the engine may call it: names of resources are lower case, those of
 * fields and variables also without hyphens. Different things keep different names.
 */
export class Names {
  private readonly engineNames = new Map<string, string>();
  private readonly caseNames = new Map<string, string>();
  private readonly separator: string;

  constructor(separator: "-" | "_") {
    this.separator = separator;
  }

  /** The engine's name of this thing, the same each time. */
  of(caseName: string): string {
    const known = this.engineNames.get(caseName);
    if (known !== undefined) return known;
    const plain = caseName.toLowerCase().replaceAll(/[^a-z0-9_-]+/g, this.separator);
    const joined = this.separator === "_" ? plain.replaceAll("-", "_") : plain;
    const trimmed = joined.replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, "").slice(0, 50) || "x";
    const base = this.separator === "_" && /^\d/.test(trimmed) ? `x_${trimmed}` : trimmed;
    let name = base;
    for (let i = 2; this.caseNames.has(name); i++) name = `${base}${this.separator}${i}`;
    this.engineNames.set(caseName, name);
    this.caseNames.set(name, caseName);
    return name;
  }

  /** What the case calls it; an engine's own thing keeps its name. */
  back(engineName: string): string {
    return this.caseNames.get(engineName) ?? engineName;
  }
}

/** The names of one case. */
export interface CaseNames {
  /** Rules, scenarios, steps, templates, tools, groups. */
  readonly things: Names;
  /** Variables and fields. */
  readonly values: Names;
}

export function caseNames(): CaseNames {
  return { things: new Names("-"), values: new Names("_") };
}
