import { createHash } from "node:crypto";
import type { LanguageModel, ModelCall } from "@soldier/ai/language-model";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { z } from "zod";
import type { Candidate } from "../domain/entity-matching.ts";
import type { Episode } from "../domain/episode.ts";
import type { EntityType, Extraction, FoundClaim, FoundValue, Named } from "../domain/finding.ts";
import { knownPredicates } from "../domain/known-predicates.ts";
import type { Extractor, Readable } from "./extractor.ts";

export interface ModelExtractorOptions {
  readonly model: LanguageModel;
  /** Reads what the model could not. */
  readonly fallback: Extractor;
  readonly entities: (tenantId: string, groupId: string) => Promise<readonly Candidate[]>;
  /** That the tenant has declared. */
  readonly predicates: (tenantId: string) => Promise<readonly string[]>;
  readonly called: (call: ModelCall) => void;
  readonly fellBack: (reason: string) => void;
  readonly log: Log;
}

const types = ["person", "place", "organisation", "product", "thing"] as const;
const candidatesMax = 50;
const claimsMax = 40;
const answerTokensMax = 4_000;

const instructions = `You read a conversation between a customer and an agent and note what it states as lasting facts.
Rules:
- Note only what is said outright. Nothing from questions, wishes, conditions, negations, examples, or words quoted from others.
- line is the number of the line that says it. quote is copied from that line letter by letter.
- kind is "assert" for what is so, "end" for what is no longer so.
- predicate is one of the list. If none fits, leave it out.
- subject and object are numbers of the entities. 0 is the customer. Add an entity that is missing to new_entities, with its name as it is written in the line; its numbers go on after the last one of the list.
- object is -1 for a plain value such as an e-mail address or a liking; value then says it, and is "" otherwise.
- valid_from and valid_to are dates (YYYY-MM-DD) if the line says since or until when, reckoned from the line's own date; otherwise "".
- Greetings and small talk have no claims: answer with empty lists.`;

const answerOf = (predicates: readonly string[]) =>
  z.strictObject({
    new_entities: z.array(z.strictObject({ name: z.string(), type: z.enum(types) })).max(claimsMax),
    claims: z
      .array(
        z.strictObject({
          line: z.int(),
          quote: z.string(),
          kind: z.enum(["assert", "end"]),
          subject: z.int(),
          predicate: z.enum(predicates),
          object: z.int(),
          value: z.string(),
          valid_from: z.string(),
          valid_to: z.string(),
        }),
      )
      .max(claimsMax),
  });
type Answer = z.output<ReturnType<typeof answerOf>>;

/** Part of the extractor's name: another prompt is another extractor. */
const promptHash = createHash("sha256").update(instructions).digest("hex").slice(0, 8);

/** A model reads each session's episodes in one call; what it can't read, the fallback does. */
export function modelExtractor(options: ModelExtractorOptions): Extractor {
  const extractor = `llm:${options.model.id}@${promptHash}`;
  return async (episodes, signal) => {
    const found = new Map<string, Extraction>();
    const worthwhile = episodes.filter(({ episode }) => !isSmallTalk(episode.text));
    const sessions = Map.groupBy(worthwhile, ({ episode }) =>
      JSON.stringify([episode.tenantId, episode.groupId, episode.sessionId]),
    );
    for (const session of sessions.values()) {
      const read = await readOrFallBack(session, options, extractor, signal);
      session.forEach(({ episode }, i) => {
        const extraction = read[i];
        if (extraction) found.set(episode.id, extraction);
      });
    }
    return episodes.map(({ episode }) => found.get(episode.id) ?? { extractor, findings: [] });
  };
}

async function readOrFallBack(
  session: readonly Readable[],
  options: ModelExtractorOptions,
  extractor: string,
  signal: AbortSignal,
): Promise<readonly Extraction[]> {
  try {
    const findings = await readSession(session, options, signal);
    return findings.map((of) => ({ extractor, findings: of }));
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Fault ? error.reason : "EXTRACTION_FAILED";
    options.fellBack(reason);
    const facts = { err: error, episodes: session.length };
    options.log.warn(facts, "a model could not read a session; patterns do");
    return options.fallback(session, signal);
  }
}

async function readSession(
  session: readonly Readable[],
  { model, entities, predicates, called }: ModelExtractorOptions,
  signal: AbortSignal,
): Promise<readonly (readonly FoundClaim[])[]> {
  const [first] = session;
  if (!first) return [];
  const { tenantId, groupId, customerId } = first.episode;
  const candidates = (await entities(tenantId, groupId))
    .filter(({ id, canonicalId }) => id === canonicalId && id !== customerId)
    .slice(0, candidatesMax);
  const known = [...new Set([...(await predicates(tenantId)), ...Object.keys(knownPredicates)])];
  const { value } = await model.structured(
    {
      system: [
        { text: instructions, cacheable: true },
        { text: `Predicates: ${known.join(", ")}`, cacheable: true },
      ],
      messages: [{ role: "user", text: question(session, candidates) }],
      maxTokens: answerTokensMax,
      schema: answerOf(known),
      schemaName: "claims",
      onCall: called,
    },
    signal,
  );
  return session.map(({ episode }, line) =>
    value.claims
      .filter((claim) => claim.line === line)
      .flatMap((claim) => verified(claim, value.new_entities, episode, candidates) ?? []),
  );
}

function question(session: readonly Readable[], candidates: readonly Candidate[]): string {
  const list = [
    "0: the customer",
    ...candidates.map(({ name, type }, i) => `${i + 1}: ${name} (${type || "thing"})`),
  ];
  const lines = session.map(({ episode: { role, occurredAt, text } }, i) => {
    const who = role === "user" ? "Customer" : role === "agent" ? "Agent" : role;
    return `[${i}] ${who} (${occurredAt.toISOString().slice(0, 10)}): ${text.replaceAll(/\s+/g, " ")}`;
  });
  return `Entities:\n${list.join("\n")}\n\nConversation:\n${lines.join("\n")}`;
}

/** The claim, if its words are the text's and its numbers those of something. */
function verified(
  claim: Answer["claims"][number],
  added: Answer["new_entities"],
  episode: Episode,
  candidates: readonly Candidate[],
): FoundClaim | undefined {
  const { text, role, customerId } = episode;
  const span = spanOf(text, claim.quote);
  const named = (number: number): Named | undefined => {
    if (number === 0) return customerId === "" ? undefined : { kind: "customer" };
    const candidate = candidates[number - 1];
    if (candidate) return { kind: "entity", id: candidate.id };
    const entity = added[number - 1 - candidates.length];
    const said = entity && entity.name.trim() !== "" && spanOf(text, entity.name);
    return said
      ? { kind: "mention", name: entity.name.trim(), type: entity.type satisfies EntityType }
      : undefined;
  };
  const subject = named(claim.subject);
  const value: FoundValue | undefined =
    claim.object >= 0
      ? named(claim.object)
      : claim.value.trim() === ""
        ? undefined
        : { kind: "literal", json: claim.value.trim() };
  const [from, to] = [dayOf(claim.valid_from), dayOf(claim.valid_to)];
  if (!span || !subject || !value || from === null || to === null) return undefined;
  const end = claim.kind === "end";
  return {
    kind: claim.kind,
    subject,
    predicate: claim.predicate,
    value,
    validFrom: end ? undefined : from,
    validTo: end ? (to ?? from) : to,
    timeBasis: (from ?? to) ? "inferred" : "assumed",
    authority: role === "user" ? "user" : role === "agent" ? "agent" : "inferred",
    confidence: 0.7,
    spanStart: span[0],
    spanEnd: span[1],
  };
}

/** Where the text has these words, whatever space is between them. */
function spanOf(text: string, quote: string): readonly [number, number] | undefined {
  const words = quote.trim().split(/\s+/);
  if (quote.trim().length < 2) return undefined;
  const pattern = words.map((each) => each.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  const found = new RegExp(pattern.join(String.raw`\s+`), "iu").exec(text);
  return found ? [found.index, found.index + found[0].length] : undefined;
}

/** Undefined when it is not said; null when it is no day. */
function dayOf(said: string): string | undefined | null {
  if (said === "") return undefined;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(said)) return null;
  const time = new Date(`${said}T00:00:00Z`);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

const greeting =
  /^[\s\p{P}\p{Emoji}]*(?:(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks?(?: you)?(?: so much| very much)?|thx|bye|goodbye|ok(?:ay)?|yes|no|great|perfect|sure|cool|you['’]?re welcome|cheers)[\s\p{P}\p{Emoji}]*)*$/iu;

/** Not worth a model's time. */
export function isSmallTalk(text: string): boolean {
  return greeting.test(text.trim()) || !/\p{L}{2}/u.test(text);
}
