import { Fault } from "@soldier/kernel/fault";

/** SQLSTATEs that say "not now" rather than "not so". */
const passing = new Set([
  "53300", // too many connections
  "57P01", // the administrator, or a restart, ended the session
  "57P02", // the server crashed
  "57P03", // the server is starting up
]);

/** SQLSTATEs of a server that has no room: its disk is full, or its memory. */
const full = new Set(["53000", "53100", "53200"]);

/** Codes of the drivers and of the socket when a server cannot be reached or went away. */
const lost = new Set([
  "CONNECT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "CONNECTION_ENDED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
]);

/**
 * What a failed store call should look like to callers: a lost, full or overloaded backend becomes
 * "unavailable", a statement over its time "deadline", two transactions in each other's way
 * "conflict". Anything else, a Fault or a bug, is returned as it is.
 */
export function storageFault(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Fault) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const options = { cause: error, reason: "STORAGE_UNAVAILABLE", retryAfterMs: 1_000 };
  if (lost.has(code) || passing.has(code) || code.startsWith("08"))
    return new Fault("unavailable", "the database cannot be reached; try again", options);
  if (full.has(code))
    return new Fault(
      "unavailable",
      "the database has no room left, and nothing was written; try again when there is",
      { ...options, reason: "STORAGE_FULL", retryAfterMs: 5_000 },
    );
  if (isRedisLoss(error))
    return new Fault("unavailable", "the cache cannot be reached; try again", options);
  if (code === "57014" || error.message === "Command timed out")
    return new Fault("deadline", "the store took too long", {
      cause: error,
      reason: "STORAGE_TIMEOUT",
    });
  if (code === "40001" || code === "40P01" || code === "55P03")
    return new Fault("conflict", "another change was in the way; try again", {
      cause: error,
      reason: "STORAGE_CONTENTION",
    });
  return error;
}

function isRedisLoss(error: Error): boolean {
  return (
    error.name === "MaxRetriesPerRequestError" ||
    error.message === "Connection is closed." ||
    error.message.startsWith("Stream isn't writeable")
  );
}
