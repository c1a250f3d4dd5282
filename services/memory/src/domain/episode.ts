import type { FieldViolation } from "@soldier/kernel/fault";

/** Who speaks in an episode, or what it is. */
export type EpisodeRole = "user" | "agent" | "event" | "document";

/** Something said or happened that is about to be stored. */
export interface NewEpisode {
  /** UUIDv7; given up when the ingest key is stored already. */
  readonly id: string;
  readonly groupId: string;
  /** Empty when it is about no customer. */
  readonly customerId: string;
  /** Empty when there was none; so are the session and the turn. */
  readonly agentId: string;
  readonly sessionId: string;
  readonly turnId: string;
  /** Unique in the tenant: the same key is the same episode. */
  readonly ingestKey: string;
  readonly role: EpisodeRole;
  readonly text: string;
  /** In the world; millisecond precision. */
  readonly occurredAt: Date;
}

/** An episode as stored. Nothing of it ever changes. */
export interface Episode extends NewEpisode {
  readonly tenantId: string;
  /** When it was stored: never earlier than another of the group with a lower revision. */
  readonly recordedAt: Date;
  /** Its number among the changes of its group. */
  readonly revision: number;
}

/** The stages of an episode's ingestion, each with a status and tries of its own. */
export const stageNames = [
  "stored",
  "embedded",
  // By the model that is to follow the one in force.
  "embedded_next",
  "extracted",
  "resolved",
  "summarised",
] as const;
export type StageName = (typeof stageNames)[number];

/** How a stage of an episode's ingestion stands. */
export interface Stage {
  readonly name: StageName;
  /** Failed is tried again; parked is held for a person; waiting is not due before there are more turns. */
  readonly status: "pending" | "done" | "failed" | "parked" | "waiting";
  readonly attempts: number;
  /** Reason of the last failure; empty when there was none. */
  readonly failed: string;
}

/** Longest text of an episode, in characters; what is longer is a document to be cut by its owner. */
export const textLengthMax = 65_536;

/** What keeps an episode from being stored, all at once; fields are those of the message. */
export function violations(episode: NewEpisode): readonly FieldViolation[] {
  const found: FieldViolation[] = [];
  const bad = (field: string, description: string) =>
    found.push({ field: `episode.${field}`, description });
  if (episode.ingestKey === "" || episode.ingestKey.length > 256)
    bad("ingest_key", "must have 1 to 256 characters");
  if (episode.groupId === "")
    bad("group_id", "must name a group, or customer_id a customer, whose group is then taken");
  if (episode.groupId.length > 256) bad("group_id", "must have at most 256 characters");
  if (episode.text.trim() === "") bad("text", "must say something");
  if (episode.text.length > textLengthMax)
    bad("text", `must have at most ${textLengthMax} characters`);
  if (Number.isNaN(episode.occurredAt.getTime())) bad("occurred_at", "must be a time");
  return found;
}

/** The text without what PostgreSQL cannot store: NUL, and halves of characters. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "");
}

const speakers: Record<EpisodeRole, string> = {
  user: "Customer",
  agent: "Agent",
  event: "Event",
  document: "Document",
};

/** A line of a transcript: "Ana Silva: I'll be late". */
const ownSpeaker = /^(\p{Lu}[\p{L}'.-]*(?: \p{Lu}[\p{L}'.-]*){0,2}): /u;

/** Who speaks by the text's own word; empty when it does not say. */
export function namedSpeaker(text: string): string {
  return ownSpeaker.exec(text)?.[1] ?? "";
}

const day = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "long",
  year: "numeric",
  timeZone: "UTC",
});

/**
 * What is embedded and searched for an episode: its text with who said it and when, since
 * questions ask for both, in the form by which the default model finds it best. A text that names
 * its own speaker keeps it.
 */
export function searchableText({
  role,
  text,
  occurredAt,
}: Pick<NewEpisode, "role" | "text" | "occurredAt">): string {
  const [prefix = "", own] = ownSpeaker.exec(text) ?? [];
  return `${own ?? speakers[role]} (${day.format(occurredAt)}): ${text.slice(prefix.length)}`;
}
