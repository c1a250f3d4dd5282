import type { EventHandler } from "@soldier/events/bus";
import { messageOf, topic } from "@soldier/events/event";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { AuditRecordedSchema, TurnCommittedSchema } from "@soldier/proto/events/v1/events";
import { receivedAt, recordOf } from "../domain/turn-record.ts";
import type { AuditStore } from "../store/audit-store.ts";

const turnCommitted = topic("turn.committed", TurnCommittedSchema);
const auditRecorded = topic("audit.event", AuditRecordedSchema);

export const topics = [turnCommitted.name, auditRecorded.name];

/** Keeps what an event tells, once however often it comes. What isn't whole is given up in the end. */
export function recordEvents(store: AuditStore, clock: Clock): EventHandler {
  return async (event) => {
    switch (event.topic) {
      case turnCommitted.name: {
        const record = recordOf(messageOf(turnCommitted, event));
        if (!record) throw incomplete(event.id, "turn");
        const at = receivedAt(record, event.occurredAt);
        await store.addTurnRecord(event, record, at, clock.now());
        return;
      }
      case auditRecorded.name: {
        const { event: audited } = messageOf(auditRecorded, event);
        if (!audited) throw incomplete(event.id, "event");
        await store.addAuditEvent(event, audited, clock.now());
        return;
      }
      default:
        throw new Fault("internal", `nobody here follows ${event.topic}`);
    }
  };
}

function incomplete(eventId: string, part: string): Fault {
  return new Fault("invalid", `event ${eventId} has no ${part}`, { reason: "EVENT_MALFORMED" });
}
