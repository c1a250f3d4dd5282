import { actingAs } from "@soldier/chassis/identity";
import type { Call } from "@soldier/chassis/service";
import type { Event } from "@soldier/events/event";
import { messageOf } from "@soldier/events/event";
import type { Erasing, EventBus } from "@soldier/events/bus";
import { sessionClosedTopic, turnCommittedTopic } from "@soldier/events/topics";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { type Counts, sumOf } from "../domain/erasure.ts";
import type { Erasure } from "../store/erasure-store.ts";
import type { Asked, Elsewhere, Part } from "./erase.ts";

export interface ElsewhereOptions {
  readonly call: Call;
  readonly bus: Pick<EventBus, "erase">;
  /** Memory's own, when there is no broker. */
  readonly eraseDeadLetters: (erasing: Erasing) => Promise<number>;
}

/** The same words in the services that hold them, and on their way there. */
export function elsewhere({ call, bus, eraseDeadLetters }: ElsewhereOptions): Elsewhere {
  const session = call(SessionService);
  const profile = call(ProfileService);
  const audit = call(AuditService);
  const as = <T>({ tenantId, askedBy }: Asked, run: () => T): T =>
    actingAs({ tenantId, subject: askedBy, roles: ["operator"] }, run);

  return {
    customerIds: (asked, customerId) =>
      as(asked, async () => {
        if (!isId(customerId)) return [customerId]; // no profile has such an id
        const erased = await eraseProfile(customerId, true);
        return [...new Set([customerId, ...(erased?.customerIds ?? [])])];
      }),

    profile: (erasure, dryRun) =>
      as(erasure, async () => {
        const { scope, about } = erasure;
        switch (scope.kind) {
          case "customer":
            if (!isId(scope.customerId)) return {};
            return counted("profile", (await eraseProfile(scope.customerId, dryRun))?.erased ?? {});
          case "session":
            return counted(
              "profile",
              (await profile.eraseOrigin({ sessionId: about.sessionId, dryRun })).erased,
            );
          case "tenant": {
            const counts: Counts[] = [];
            // All of them first: a page's token may be of a customer that is gone by then.
            for (const customerId of await customers())
              counts.push(
                counted("profile", (await eraseProfile(customerId, dryRun))?.erased ?? {}),
              );
            return sumOf(counts);
          }
          case "episode":
          case "expired":
            return {};
        }
      }),

    sessions: (erasure, dryRun) =>
      as(erasure, async () => {
        const { scope, about } = erasure;
        const until = timestampFromDate(erasure.until);
        const part = async (request: Parameters<typeof session.eraseSessions>[0]) => {
          const answer = await session.eraseSessions({ ...request, until, dryRun });
          return { counts: counted("session", answer.erased), pending: Number(answer.pending) };
        };
        switch (scope.kind) {
          case "episode": {
            const { turnId, role } = about;
            if (!isId(turnId)) return nothing;
            const text = { turnId, reply: role === "agent" };
            return part({ scope: { case: "text", value: text } });
          }
          case "session":
            if (!isId(scope.sessionId)) return nothing;
            return part({ scope: { case: "sessionId", value: scope.sessionId } });
          case "customer": {
            const parts: Part[] = [];
            for (const value of about.customerIds)
              parts.push(await part({ scope: { case: "customerId", value } }));
            return joined(parts);
          }
          case "tenant":
            return part({ scope: { case: "tenant", value: true } });
          case "expired":
            return nothing;
        }
      }),

    audit: (erasure, dryRun) =>
      as(erasure, async () => {
        const { scope, about } = erasure;
        // Of one episode or session the record stays as it was kept; its key is the customer's.
        if (scope.kind === "tenant") {
          const { records, keys, unreadableLetters } = await audit.forgetTenant({ dryRun });
          return {
            audit_records: Number(records),
            audit_keys: Number(keys),
            ...unreadable("audit_", Number(unreadableLetters)),
          };
        }
        const counts: Counts[] = [];
        for (const customerId of about.customerIds) {
          const forgotten = await audit.forgetCustomer({ customerId, dryRun });
          const { records, destroyed, unreadableLetters } = forgotten;
          if (destroyed) counts.push({ audit_records: Number(records), audit_keys: 1 });
          counts.push(unreadable("audit_", Number(unreadableLetters)));
        }
        return sumOf(counts);
      }),

    async events(erasure, dryRun) {
      if (dryRun || erasure.scope.kind === "expired") return nothing;
      const parts: Part[] = [];
      for (const topic of [turnCommittedTopic.name, sessionClosedTopic.name]) {
        const lost = new Set<string>();
        const matches = (event: Event) => {
          const isCovered = isOf(erasure, event);
          if (isCovered && !readable(event)) lost.add(event.id);
          return isCovered;
        };
        const erasing = { topic, tenantId: erasure.tenantId, matches };
        const { erased, pending } = await bus.erase(erasing);
        const letters = await eraseDeadLetters(erasing);
        const counts = { events: erased, dead_letters: letters, ...unreadable("", lost.size) };
        parts.push({ counts, pending });
      }
      return joined(parts);
    },
  };

  /** Undefined for a customer whom profile never knew. */
  async function eraseProfile(customerId: string, dryRun: boolean) {
    try {
      return await profile.eraseProfile({ customerId, dryRun });
    } catch (error) {
      if (error instanceof Fault && error.kind === "not-found") return undefined;
      throw error;
    }
  }

  /** Of the tenant that acts; erased ones are in no list. */
  async function customers(): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let pageToken = "", more = true; more; more = pageToken !== "") {
      const page = await profile.listProfiles({ pageToken });
      // Whose profile can't be read is erased like the others.
      ids.push(...[...page.profiles, ...page.damagedRows].map(({ id }) => id));
      pageToken = page.nextPageToken;
    }
    return ids;
  }
}

/** What was taken along without being read, as certificates count it. */
function unreadable(whose: "" | "audit_", count: number): Counts {
  return count > 0 ? { [`${whose}unreadable_letters`]: count } : {};
}

const nothing: Part = { counts: {}, pending: 0 };

function counted(service: string, erased: Readonly<Record<string, bigint>>): Counts {
  const entries = Object.entries(erased).filter(([, count]) => count > 0n);
  return Object.fromEntries(
    entries.map(([kind, count]) => [`${service}_${kind}`, Number(count)] as const),
  );
}

function joined(parts: readonly Part[]): Part {
  return {
    counts: Object.fromEntries(
      Object.entries(sumOf(parts.map(({ counts }) => counts))).filter(([, count]) => count > 0),
    ),
    pending: parts.reduce((sum, { pending }) => sum + pending, 0),
  };
}

/**
 * Whether an event holds what is erased. One that can't be read may: it goes with the first erasure after
 * it, whoever's it was, since nobody could ever do anything with it.
 */
export function isOf({ scope, about, until }: Erasure, event: Event): boolean {
  if (event.occurredAt > until) return false;
  if (scope.kind === "tenant") return true;
  const said = readable(event);
  if (!said) return true;
  if (scope.kind === "episode") return about.turnId !== "" && said.turnId === about.turnId;
  if (scope.kind === "session") return said.sessionId === scope.sessionId;
  return about.customerIds.includes(said.customerId);
}

function readable(event: Event) {
  try {
    if (event.topic === turnCommittedTopic.name) {
      const { turn, customerId } = messageOf(turnCommittedTopic, event);
      return { sessionId: turn.sessionId, turnId: turn.id, customerId };
    }
    const { session } = messageOf(sessionClosedTopic, event);
    return { sessionId: session.id, turnId: "", customerId: session.customerId };
  } catch {
    return undefined; // no such message: see isOf
  }
}
