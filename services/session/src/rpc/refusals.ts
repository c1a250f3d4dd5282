import { Fault } from "@soldier/kernel/fault";

/** The service's stable reasons, each with its sentence. */

export function sessionNotFound(sessionId: string): Fault {
  const text = sessionId ? `there is no session ${sessionId}` : "the session is gone";
  return new Fault("not-found", text, { reason: "SESSION_NOT_FOUND" });
}

export function sessionClosed(): Fault {
  return new Fault("precondition", "the session is closed; open another one", {
    reason: "SESSION_CLOSED",
  });
}

export function keyReused(): Fault {
  return new Fault("conflict", "the idempotency key was used for another request", {
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
}

export function turnIdReused(turnId: string): Fault {
  return new Fault("conflict", `turn ${turnId} is of another session`, {
    reason: "TURN_ID_REUSED",
  });
}

export function leaseLost(): Fault {
  return new Fault("conflict", "the turn no longer holds the session's lease", {
    reason: "LEASE_LOST",
  });
}

export function toolCallKeyReused(): Fault {
  return new Fault("conflict", "the tool call's key was used for another call", {
    reason: "TOOL_CALL_KEY_REUSED",
  });
}

export function toolCallNotFound(key: string): Fault {
  return new Fault("not-found", `no tool call ${key} was begun`, {
    reason: "TOOL_CALL_NOT_FOUND",
  });
}

export function versionConflict(expected: bigint, version: bigint): Fault {
  const text = `the session is at version ${version}, the turn was made from ${expected}`;
  return new Fault("conflict", text, { reason: "VERSION_CONFLICT" });
}

export function fieldInvalid(field: string, description: string): Fault {
  return new Fault("invalid", `${field}: ${description}`, {
    reason: "FIELD_INVALID",
    fields: [{ field, description }],
  });
}
