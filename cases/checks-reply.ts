import type { Check } from "./check.ts";
import { probe } from "./document.ts";
import { differs, hasAny, lacks, namesIn, numberIn, recordIn, shown, textIn } from "./expected.ts";
import type { Ran } from "./run-case.ts";

export function replyOf({ said }: Ran): string {
  return said.findLast(({ completed }) => completed?.turn)?.completed?.turn?.replyText ?? "";
}

function lower(text: string): string {
  return text.toLowerCase().normalize("NFC");
}

/** Templates that were said, by the case's names; FALLBACK for what is said when nothing else can be. */
function usedTemplates(ran: Ran): readonly string[] {
  const record = ran.records.at(-1);
  const used = (record?.templates ?? []).filter((each) => each.used).map(({ name }) => name);
  const named = ran.bundle?.templates.find(({ id }) => id === record?.reply?.templateId)?.name;
  const all = [...new Set([...used, ...(named === undefined ? [] : [named])])];
  const last = record?.reply?.source ?? "";
  const isFallback = last === "fallback" || last === "built_in";
  return [
    ...all.filter((name) => name !== probe).map((name) => ran.names.things.back(name)),
    ...(isFallback ? ["FALLBACK"] : []),
  ];
}

/** Why a template can't be said, as records tell it. */
const ineligible =
  /scope|condition|unresolved|needs|required|says nothing|not succeeded|acknowledge|preamble|model/i;

export const replyChecks: Readonly<Record<string, Check>> = {
  reply_contains(expected, ran) {
    const reply = lower(replyOf(ran));
    const missing = namesIn(expected).filter((part) => !reply.includes(lower(part)));
    return missing.length === 0 ? undefined : `lacks ${shown(missing)} in ${shown(replyOf(ran))}`;
  },
  reply_contains_any(expected, ran) {
    const reply = lower(replyOf(ran));
    if (namesIn(expected).some((part) => reply.includes(lower(part)))) return undefined;
    return `none of ${shown(expected)} in ${shown(replyOf(ran))}`;
  },
  reply_not_contains(expected, ran) {
    const reply = lower(replyOf(ran));
    const found = namesIn(expected).filter((part) => reply.includes(lower(part)));
    return found.length === 0 ? undefined : `has ${shown(found)} in ${shown(replyOf(ran))}`;
  },
  reply_matches(expected, ran) {
    const missing = namesIn(expected).filter((pattern) => !new RegExp(pattern).test(replyOf(ran)));
    return missing.length === 0 ? undefined : `${shown(missing)} not in ${shown(replyOf(ran))}`;
  },
  reply_not_matches(expected, ran) {
    const found = namesIn(expected).filter((pattern) => new RegExp(pattern).test(replyOf(ran)));
    return found.length === 0 ? undefined : `${shown(found)} in ${shown(replyOf(ran))}`;
  },
  reply_text_equals(expected, ran) {
    const reply = replyOf(ran);
    if (reply === textIn(expected)) return undefined;
    return `expected ${shown(expected)}, got ${shown(reply)}`;
  },
  reply_length_max: (expected, ran) =>
    replyOf(ran).length <= numberIn(expected)
      ? undefined
      : `expected at most ${shown(expected)} characters, got ${replyOf(ran).length}`,
  template(expected, ran) {
    const used = usedTemplates(ran);
    if (expected === null) {
      const said = used.filter((name) => name !== "FALLBACK");
      return said.length === 0 ? undefined : `${shown(said)} was used`;
    }
    const wanted = textIn(expected);
    // A fallback may be a template of the agent's own as well.
    const got = wanted === "FALLBACK" ? used : used.filter((name) => name !== "FALLBACK");
    return got.includes(wanted) && (wanted === "FALLBACK" || got.length === 1)
      ? undefined
      : `expected ${wanted}, got ${shown(used)} (${replySource(ran)}: ${shown(replyOf(ran))})`;
  },
  template_in: (expected, ran) =>
    usedTemplates(ran).some((name) => namesIn(expected).includes(name))
      ? undefined
      : `expected one of ${shown(expected)}, got ${shown(usedTemplates(ran))}`,
  template_not: (expected, ran) =>
    ran.records.length === 0
      ? "the turn has no record"
      : hasAny(namesIn(expected), usedTemplates(ran)),
  template_candidates(expected, ran) {
    const own = new Set(ran.plan.case.agent.templates.map(({ id }) => id));
    const eligible = (ran.records.at(-1)?.templates ?? [])
      .filter(({ used, reason }) => used || !ineligible.test(reason))
      .map(({ name }) => ran.names.things.back(name))
      .filter((name) => own.has(name));
    return differs(namesIn(expected), eligible);
  },
  /** Words of the recorded reason, by template. */
  template_reasons(expected, ran) {
    const wanted = Object.entries(recordIn(expected));
    const wrong = wanted.flatMap(([id, words]) => {
      const reason = ran.records
        .at(-1)
        ?.templates.find(({ name }) => ran.names.things.back(name) === id)?.reason;
      return reason?.includes(textIn(words)) ? [] : [`${id}: ${shown(reason)}`];
    });
    return wrong.length === 0 ? undefined : `expected ${shown(expected)}, got ${wrong.join(", ")}`;
  },
  reply_source: (expected, ran) =>
    replySource(ran) === textIn(expected) ? undefined : `got ${replySource(ran)}`,
  /** Texts that whoever writes the reply must have before them. */
  reply_considers(expected, ran) {
    const prompts = ran.asked
      ? (ran.asked.at(-1)?.prompt ?? "")
      : ran.turns.map(({ userText }) => userText).join("\n");
    const missing = namesIn(expected).filter((text) => !prompts.includes(text));
    return missing.length === 0 ? undefined : `the last prompt lacks ${shown(missing)}`;
  },
  prompt_contains: (expected, ran) =>
    lacks(
      namesIn(expected),
      namesIn(expected).filter((text) => ran.asked?.some(({ prompt }) => prompt.includes(text))),
    ),
  prompt_not_contains: (expected, ran) =>
    hasAny(
      namesIn(expected),
      namesIn(expected).filter((text) => ran.asked?.some(({ prompt }) => prompt.includes(text))),
    ),
};

function replySource({ records }: Ran): string {
  return records.at(-1)?.reply?.source ?? "none";
}
