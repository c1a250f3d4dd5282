import type { EventHandler } from "@soldier/events/bus";
import { messageOf } from "@soldier/events/event";
import { auditRecordedTopic, turnCommittedTopic } from "@soldier/events/topics";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { receivedAt, recordOf } from "../domain/turn-record.ts";
import type { AuditStore } from "../store/audit-store.ts";

export const topics = [turnCommittedTopic.name, auditRecordedTopic.name];

/** Keeps what an event tells, once however often it comes. What isn't whole is given up in the end. */
export function recordEvents(store: AuditStore, clock: Clock): EventHandler {
  return async (event) => {
    switch (event.topic) {
      case turnCommittedTopic.name: {
        const record = recordOf(messageOf(turnCommittedTopic, event));
        const at = receivedAt(record, event.occurredAt);
        await store.addTurnRecord(event, record, at, clock.now());
        return;
      }
      case auditRecordedTopic.name: {
        const { event: audited } = messageOf(auditRecordedTopic, event);
        await store.addAuditEvent(event, audited, clock.now());
        return;
      }
      default:
        throw new Fault("internal", `nobody here follows ${event.topic}`);
    }
  };
}
