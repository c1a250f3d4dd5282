import type { Finding, Verdict } from "./ledger.ts";
import type { Asked } from "./load.ts";

/** One fault; all times by performance.now(). */
export interface Injected {
  readonly name: string;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Undefined when it took longer than anybody waited. */
  readonly recoveredMs: number | undefined;
}

export interface Report {
  readonly injected: readonly Injected[];
  readonly asked: readonly Asked[];
  readonly verdict: Verdict;
  /** What still waits when it should not; empty: all is quiet. */
  readonly stuck: string;
}

const examplesMax = 5;
const head = ["fault", "times", "turns", "refused", "silent", "lost", "twice", "recovery s"];

/** The table and the books, for people. */
export function report({ injected, asked, verdict, stuck }: Report): string {
  const byFault = Map.groupBy(asked, ({ dueMs }) => faultAt(injected, dueMs));
  const names = [...new Set(injected.map(({ name }) => name))].toSorted();
  const rows = names.map((name) => row(name, injected, byFault.get(name) ?? [], verdict.findings));
  const total = row("all, with what is between", injected, asked, verdict.findings);
  const unanswered = asked.filter(({ answer }) => !answer).length;
  const reasons = Object.entries(
    Object.groupBy(
      asked.flatMap(({ refusals }) => refusals),
      (reason) => reason,
    ),
  ).map(([reason, all]) => `${reason} ${all?.length}`);
  const count = (what: Finding["what"]) =>
    verdict.findings.filter((finding) => finding.what === what).length;
  return [
    "",
    ...aligned([head, ...rows, total]),
    "",
    `asked ${asked.length}, answered ${asked.length - unanswered}, unanswered ${unanswered}`,
    `in session ${verdict.turns} turns, in audit ${verdict.records} records, in memory ${verdict.episodes} episodes`,
    `refusals on the way: ${reasons.join(", ") || "none"}`,
    stuck ? `STUCK: ${stuck}` : "quiet: nothing waits",
    ...examples(verdict.findings),
    `${count("lost")} lost, ${count("duplicated")} duplicated, ${count("wrong")} wrong`,
    "",
  ].join("\n");
}

function row(
  name: string,
  injected: readonly Injected[],
  during: readonly Asked[],
  findings: readonly Finding[],
): readonly string[] {
  const these = injected.filter((one) => one.name === name);
  const keys = new Set(during.map(({ key }) => key));
  const all = these.length === 0 ? injected : these;
  const found = (what: Finding["what"]) =>
    findings.filter((one) => one.what === what && keys.has(one.key ?? "")).length;
  const slowestMs = Math.max(
    ...all.map(({ endedMs, recoveredMs }) => (recoveredMs ?? Infinity) - endedMs),
  );
  return [
    name,
    String(all.length),
    String(during.length),
    String(during.filter(({ refusals }) => refusals.length > 0).length),
    String(during.filter(({ silences }) => silences > 0).length),
    String(found("lost")),
    String(found("duplicated")),
    Number.isFinite(slowestMs) ? (slowestMs / 1_000).toFixed(1) : "never",
  ];
}

/** The fault that had begun last. */
function faultAt(injected: readonly Injected[], atMs: number): string | undefined {
  return injected.findLast(({ startedMs }) => startedMs <= atMs)?.name;
}

function aligned(table: readonly (readonly string[])[]): readonly string[] {
  const widths = head.map((_, i) => Math.max(...table.map((cells) => cells[i]?.length ?? 0)));
  return table.map((cells) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  "),
  );
}

function examples(findings: readonly Finding[]): readonly string[] {
  return [...Map.groupBy(findings, ({ what }) => what)].flatMap(([what, items]) => [
    ...items.slice(0, examplesMax).map(({ text }) => `${what.toUpperCase()}: ${text}`),
    ...(items.length > examplesMax
      ? [`${what.toUpperCase()}: … and ${items.length - examplesMax} more`]
      : []),
  ]);
}
