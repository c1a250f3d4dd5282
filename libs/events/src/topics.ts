import {
  AuditRecordedSchema,
  ConfigPublishedSchema,
  ProfileErasedSchema,
  SessionClosedSchema,
  TurnCommittedSchema,
  TurnToldSchema,
} from "@soldier/proto/events/v1/events";
import { topic } from "./event.ts";

/** A turn became real. Followed by audit, memory and profile. */
export const turnCommittedTopic = topic("turn.committed", TurnCommittedSchema, "turn");

/** The same without its record, for followers that need none: to read that is most of their work. */
export const turnToldTopic = topic(turnCommittedTopic.name, TurnToldSchema, "turn");

/** A conversation ended. */
export const sessionClosedTopic = topic("session.closed", SessionClosedSchema, "session");

/** Another version of an agent is live. */
export const configPublishedTopic = topic("config.published", ConfigPublishedSchema, "agentId");

/** Something was done that is worth auditing. */
export const auditRecordedTopic = topic("audit.event", AuditRecordedSchema, "event");

/** A customer is gone: whoever holds anything of the customer removes it. */
export const profileErasedTopic = topic("profile.erased", ProfileErasedSchema, "customerIds");
