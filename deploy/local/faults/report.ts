import type { Verdict } from "./ledger.ts";
import type { Asked } from "./load.ts";

export interface Injected {
  readonly name: string;
  readonly startedMs: number;
  readonly healedMs: number;
  readonly recoveredMs: number | undefined;
}

export interface Report {
  readonly injected: readonly Injected[];
  readonly asked: readonly Asked[];
  readonly verdict: Verdict;
  /** What still waits when it should not; empty: all is quiet. */
  readonly stuck: string;
  readonly recoveryMaxMs: number;
}

const examplesMax = 5;

/** The table and the books, for people. */
export function report({ injected, asked, verdict, stuck }: Report): string {
  const names = [...new Set(injected.map(({ name }) => name))].toSorted();
  const rows = names.map((name) => {
    const these = injected.filter((one) => one.name === name);
    const during = asked.filter(({ dueMs }) =>
      these.some(
        ({ startedMs, recoveredMs, healedMs }) =>
          dueMs >= startedMs && dueMs < (recoveredMs ?? healedMs + 30_000),
      ),
    );
    const slowest = Math.max(
      ...these.map(({ healedMs, recoveredMs }) => (recoveredMs ?? Infinity) - healedMs),
    );
    return [
      name,
      String(these.length),
      String(during.length),
      String(during.filter(({ refusals }) => refusals.length > 0).length),
      String(during.filter(({ silences }) => silences > 0).length),
      String(during.filter(({ answer }) => !answer).length),
      Number.isFinite(slowest) ? (slowest / 1_000).toFixed(1) : "never",
    ];
  });
  const head = ["fault", "times", "turns", "refused", "silent", "unanswered", "recovery s"];
  const table = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  "),
  );
  const reasons = Map.groupBy(
    asked.flatMap(({ refusals }) => refusals),
    (reason) => reason,
  );
  const { lost, duplicated, wrong } = verdict;
  return [
    "",
    ...lines,
    "",
    `asked ${verdict.asked}, answered ${verdict.answered}, unanswered ${verdict.unanswered}`,
    `in session ${verdict.turns} turns, in audit ${verdict.records} records, in memory ${verdict.episodes} episodes`,
    `refusals on the way: ${[...reasons].map(([reason, all]) => `${reason} ${all.length}`).join(", ") || "none"}`,
    stuck ? `STUCK: ${stuck}` : "quiet: nothing waits",
    ...some("LOST", lost),
    ...some("DUPLICATED", duplicated),
    ...some("WRONG", wrong),
    `${lost.length} lost, ${duplicated.length} duplicated, ${wrong.length} wrong`,
    "",
  ].join("\n");
}

function some(what: string, items: readonly string[]): readonly string[] {
  const shown = items.slice(0, examplesMax).map((item) => `${what}: ${item}`);
  return items.length > examplesMax
    ? [...shown, `${what}: … and ${items.length - examplesMax} more`]
    : shown;
}
