import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { measureProcess } from "@soldier/chassis/metrics";
import { register } from "prom-client";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { services } from "../services.ts";

const root = join(import.meta.dirname, "../../..");
const path = join(root, "deploy/prometheus/alerts.yaml");

const rule = z.strictObject({
  alert: z.string().regex(/^[A-Z]\w+$/),
  expr: z.string(),
  for: z
    .string()
    .regex(/^\d+[smh]$/)
    .optional(),
  labels: z.strictObject({ severity: z.enum(["page", "ticket"]) }),
  annotations: z.strictObject({ summary: z.string() }),
});
const file = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(rule).min(1) })).min(1),
});
type Rule = z.output<typeof rule>;

/** Labels that the series of each metric have; Prometheus adds those of where it got them. */
let labelsOf: ReadonlyMap<string, ReadonlySet<string>>;
const ofScraping = ["instance", "job", "namespace", "pod"];

beforeAll(async () => {
  measureProcess();
  const metrics = await register.getMetricsAsJSON();
  labelsOf = new Map(
    metrics.flatMap(({ name, type }) => {
      const own = labelNamesOf(name);
      const series: (readonly [string, ReadonlySet<string>])[] = [[name, new Set(own)]];
      if (String(type) === "histogram")
        series.push(
          [`${name}_bucket`, new Set([...own, "le"])],
          [`${name}_sum`, new Set(own)],
          [`${name}_count`, new Set(own)],
        );
      return series;
    }),
  );
});

function labelNamesOf(name: string): readonly string[] {
  const metric: unknown = register.getSingleMetric(name);
  return z.looseObject({ labelNames: z.array(z.string()) }).parse(metric).labelNames;
}

/** What of an expression is no PromQL, or names a metric or a label that no service exports. */
function problemsOf({ alert, expr }: Pick<Rule, "alert" | "expr">): readonly string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  const labels: string[] = [];
  promql.parse(expr).iterate({
    enter({ name, from, to, type }) {
      const text = expr.slice(from, to);
      if (type.isError) problems.push(`${alert}: no PromQL at ${from}: ${expr.slice(from)}`);
      if (name === "VectorSelector") names.add(/^\w*/.exec(text)?.[0] ?? "");
      if (name === "LabelName") labels.push(text);
    },
  });
  if (names.size === 0) problems.push(`${alert}: names no metric`);
  for (const name of names) {
    const known = labelsOf.get(name);
    if (!known) problems.push(`${alert}: no service exports ${name}`);
    for (const label of known ? labels : [])
      if (!known?.has(label) && !ofScraping.includes(label))
        problems.push(`${alert}: ${name} has no label ${label}`);
  }
  return problems;
}

interface Tree {
  iterate(visit: {
    enter(node: {
      readonly name: string;
      readonly from: number;
      readonly to: number;
      readonly type: { readonly isError: boolean };
    }): void;
  }): void;
}

// The package's types are for bundlers: they name modules without their endings.
const { parser: promql } = createRequire(import.meta.url)("@prometheus-io/lezer-promql") as {
  parser: { parse(text: string): Tree };
};

describe("the alerts", () => {
  const { groups } = file.parse(parse(readFileSync(path, "utf8")));
  const rules = groups.flatMap((group) => group.rules);

  it("ask for what services export, in PromQL", () => {
    expect(services).toHaveLength(7); // their modules make the metrics
    expect(rules.length).toBeGreaterThan(15);
    expect(rules.flatMap(problemsOf)).toEqual([]);
  });

  it("would not go unnoticed with a mistake", () => {
    const wrong = (expr: string) => problemsOf({ alert: "Wrong", expr }).join();
    expect(wrong("sum(soldier_outbox_backlog")).toContain("no PromQL");
    expect(wrong("soldier_outbox_backlogs > 1")).toContain("no service exports");
    expect(wrong("sum by (topic) (soldier_outbox_backlog) > 1")).toContain("no label topic");
    expect(wrong('soldier_outbox_backlog{stage="x"} > 1')).toContain("no label stage");
    expect(wrong("rate(soldier_outbox_backlog_bucket[1m]) > 1")).toContain("no service exports");
    expect(wrong("1 > 0")).toContain("names no metric");
  });

  it("have names of their own, and each a line in the book that says what to do", () => {
    const names = rules.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    const book = readFileSync(join(root, "docs/operations.md"), "utf8");
    expect(names.filter((name) => !book.includes(`| \`${name}\` `))).toEqual([]);
  });

  it("say in their summaries only labels that their results have", () => {
    const said = rules.flatMap(({ alert, expr, annotations: { summary } }) =>
      [...summary.matchAll(/\$labels\.(\w+)/g)]
        .filter(([, label = ""]) => !expr.includes(`by (${label}`) && !kept(expr, label))
        .map(([, label]) => `${alert}: ${label}`),
    );
    expect(said).toEqual([]);
  });

  it("are taken by promtool where it is installed", (context) => {
    const checked = spawnSync("promtool", ["check", "rules", path], { encoding: "utf8" });
    if (checked.error) context.skip("promtool is not installed");
    expect(checked.status, checked.stderr).toBe(0);
  });
});

function kept(expr: string, label: string): boolean {
  return [...expr.matchAll(/by \(([^)]*)\)/g)].some(([, list = ""]) =>
    list.split(/,\s*/).includes(label),
  );
}
