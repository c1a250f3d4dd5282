import { bm25Index } from "@soldier/retrieval/bm25";
import type { ReplyMode } from "./reply-mode.ts";
import type { TemplateCandidate } from "./templates.ts";

/**
 * The candidates among which the reply must be, as far as they can be said. Where the place is
 * EXCLUSIVE all but fallbacks; elsewhere the EXCLUSIVE ones, of which a higher priority leaves no
 * choice. `fills` says whether there is a model to fill names in.
 */
export function strictCandidates(
  candidates: readonly TemplateCandidate[],
  mode: ReplyMode,
  fills: boolean,
): readonly TemplateCandidate[] {
  const eligible = candidates.filter(
    ({ text, isFillable }) => text !== undefined || (fills && isFillable),
  );
  if (mode === "EXCLUSIVE") return eligible.filter((each) => each.mode !== "FALLBACK");
  const exclusive = eligible.filter((each) => each.mode === "EXCLUSIVE");
  const highest = Math.max(...exclusive.map(({ priority }) => priority));
  return exclusive.filter(({ priority }) => priority === highest);
}

/** Those whose words keep to what is demanded of the reply; all of them when none does. */
export function keepingTo(
  candidates: readonly TemplateCandidate[],
  keeps: (text: string) => boolean,
): readonly TemplateCandidate[] {
  const good = candidates.filter(({ text }) => text === undefined || keeps(text));
  return good.length > 0 ? good : candidates;
}

export interface Pick {
  readonly candidate: TemplateCandidate;
  readonly reason: string;
}

/** In the order of preference without a message: named ones first, then by priority, then as defined. */
export function byPreference(
  candidates: readonly TemplateCandidate[],
): readonly TemplateCandidate[] {
  return candidates.toSorted(
    (a, b) => Number(b.named) - Number(a.named) || b.priority - a.priority,
  );
}

/**
 * The best without a model: a named one before others, a higher priority before a lower, then the one
 * that shares the message's words if it does so clearly better than the rest, else the first defined.
 */
export function pickedByWords(
  candidates: readonly TemplateCandidate[],
  message: string,
): Pick | undefined {
  const [first, ...others] = byPreference(candidates);
  if (!first) return undefined;
  const equal = [
    first,
    ...others.filter(({ named, priority }) => named === first.named && priority === first.priority),
  ];
  if (candidates.length === 1) return { candidate: first, reason: "the only one" };
  if (equal.length === 1)
    return {
      candidate: first,
      reason: first.named ? "named, and of the highest priority" : "of the highest priority",
    };
  const scores = bm25Index(
    equal.map(({ name, text = "" }) => `${name.replaceAll(/[_-]+/g, " ")}\n${text}`),
  ).normalisedScores(message);
  const ranked = equal
    .map((candidate, i) => ({ candidate, score: scores[i] ?? 0 }))
    .toSorted((a, b) => b.score - a.score);
  const [best, next] = ranked;
  if (best && next && best.score - next.score >= clearly) {
    const reason = `fits the message best: ${best.score.toFixed(2)} to ${next.score.toFixed(2)}`;
    return { candidate: best.candidate, reason };
  }
  return { candidate: first, reason: "the first of equals" };
}

/** Of shares of words, 0 to 1. */
const clearly = 0.1;
