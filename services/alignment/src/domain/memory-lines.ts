import { create } from "@bufbuild/protobuf";
import { type MemoryUse, MemoryUseSchema } from "@soldier/proto/audit/v1/turn_record";
import { EpisodeRole, type FactVersion } from "@soldier/proto/memory/v1/memory";
import type { MemoryHit } from "@soldier/proto/memory/v1/memory_service";
import { jsonOf } from "./json.ts";
import { asData } from "./prompt-data.ts";
import { dayOf, factNote, factState, predicateWords } from "./provenance.ts";
import type { Remembered } from "./remembered.ts";
import { spoken } from "./templates.ts";
import { tokensIn } from "./tokens.ts";

/** A hit as a prompt tells it, in whole sentences; undefined for one of a newer contract. */
export function memoryLine({ found, score, text }: MemoryHit, now: Date): Remembered | undefined {
  switch (found.case) {
    case "episode": {
      const { id, occurredAt, role } = found.value;
      const when = [occurredAt && dayOf(occurredAt), speakers[role]].filter(Boolean).join(", ");
      const part = wholeSentences(found.value.text);
      const use = { id, kind: "episode", score, ...set({ validFrom: occurredAt }) };
      return fromMemory(use, `- [${when}] ${indented(part)}`, part === "");
    }
    case "summary": {
      const { id, coversFrom, coversTo } = found.value;
      const ends = [coversFrom, coversTo].flatMap((time) => (time ? dayOf(time) : []));
      const part = wholeSentences(found.value.text);
      const use = {
        id,
        kind: "summary",
        score,
        ...set({ validFrom: coversFrom, validTo: coversTo }),
      };
      const when = `summary of ${[...new Set(ends)].join(" to ")}`;
      return fromMemory(use, `- [${when}] ${indented(part)}`, part === "");
    }
    case "fact": {
      const fact = found.value;
      const { factId: id, validFrom, validTo, lastConfirmedAt } = fact;
      const use = {
        id,
        kind: "fact",
        score,
        state: factState(fact),
        ...set({ validFrom, validTo, lastConfirmedAt }),
      };
      const words = wholeSentences(text || factWords(fact));
      return fromMemory(use, `- [${factNote(fact, now)}] ${indented(words)}`, words === "");
    }
    case undefined: // of a newer contract
      return undefined;
  }
}

function fromMemory(
  use: Partial<Omit<MemoryUse, "$typeName" | "$unknown">>,
  line: string,
  isTooLong: boolean,
): Remembered {
  const tokens = costOf(line);
  return {
    use: create(MemoryUseSchema, { ...use, tokens }),
    line,
    tokens,
    score: use.score ?? 0,
    out: isTooLong ? `tokens: no sentence of it has at most ${lengthMax} characters` : "",
  };
}

function factWords({ predicate, value, subject }: FactVersion): string {
  const what = value.case === "object" ? value.value : spoken(jsonOf(value.value));
  return `${subject} ${predicateWords(predicate)} ${what ?? ""}`.trim();
}

const speakers: Partial<Record<EpisodeRole, string>> = {
  [EpisodeRole.USER]: "the customer",
  [EpisodeRole.AGENT]: "you",
  [EpisodeRole.EVENT]: "event",
  [EpisodeRole.DOCUMENT]: "document",
};

/** What is longer pushes out more than it tells. */
const lengthMax = 2_000;

/** As many sentences or lines from the beginning as are not too long together; "" when the first one is. */
function wholeSentences(text: string): string {
  if (text.length <= lengthMax) return text;
  const head = text.slice(0, lengthMax);
  const end = /^[^]*(?:[.!?…。！？]["'”’)\]]*(?=\s)|\n)/u.exec(head)?.[0] ?? "";
  return end.trim() === "" ? "" : `${end.trimEnd()} […]`;
}

/** A line of what others wrote never begins where one of ours does. */
export function indented(text: string): string {
  return text.replaceAll(/[\r\n\u2028\u2029]+/g, "\n  ");
}

export function costOf(line: string): number {
  return tokensIn(`${asData(line)}\n`);
}

/** Only what has a value: protobuf knows no undefined. */
export function set<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
