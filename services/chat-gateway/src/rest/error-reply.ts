import { faultOf, wireError } from "@soldier/chassis/faults";
import { Fault, type FaultKind } from "@soldier/kernel/fault";

/** A failure as HTTP tells it. */
export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: ErrorBody };
}

export interface ErrorBody {
  /** gRPC's name of the kind of failure, e.g. NOT_FOUND. */
  readonly code: string;
  /** Stable, e.g. SESSION_NOT_FOUND. */
  readonly reason: string;
  readonly message: string;
  readonly fields: readonly { readonly field: string; readonly description: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly traceId: string;
}

const codes: Readonly<Record<FaultKind, readonly [status: number, code: string]>> = {
  invalid: [400, "INVALID_ARGUMENT"],
  unauthenticated: [401, "UNAUTHENTICATED"],
  forbidden: [403, "PERMISSION_DENIED"],
  "not-found": [404, "NOT_FOUND"],
  "already-exists": [409, "ALREADY_EXISTS"],
  conflict: [409, "ABORTED"],
  precondition: [409, "FAILED_PRECONDITION"],
  exhausted: [429, "RESOURCE_EXHAUSTED"],
  deadline: [504, "DEADLINE_EXCEEDED"],
  cancelled: [499, "CANCELLED"],
  unavailable: [503, "UNAVAILABLE"],
  unimplemented: [501, "UNIMPLEMENTED"],
  internal: [500, "INTERNAL"],
  "data-loss": [500, "DATA_LOSS"],
};

/** Where HTTP is more precise than the kind. */
const statuses: Readonly<Record<string, number>> = {
  MESSAGE_TOO_LARGE: 413,
  BODY_TOO_LARGE: 413,
  MEDIA_TYPE_UNSUPPORTED: 415,
  METHOD_NOT_ALLOWED: 405,
  ETAG_MISMATCH: 412,
  OVERLOADED: 503,
};

/** What the caller gets for a failure. Of anything but a Fault only that it happened. */
export function errorReply(error: unknown, traceId: string): ErrorReply {
  const fault = error instanceof Fault ? error : faultOf(wireError(error));
  const [status, code] = codes[fault.kind];
  return {
    status: statuses[fault.reason] ?? status,
    headers: headersOf(fault),
    body: {
      error: {
        code,
        reason: fault.reason,
        message: fault.message,
        fields: fault.fields,
        metadata: fault.metadata,
        traceId,
      },
    },
  };
}

function headersOf(fault: Fault): Record<string, string> {
  const headers: Record<string, string> = {};
  if (fault.retryAfterMs !== undefined)
    headers["retry-after"] = String(Math.max(1, Math.ceil(fault.retryAfterMs / 1_000)));
  if (fault.kind === "unauthenticated")
    headers["www-authenticate"] =
      fault.reason === "TOKEN_MISSING"
        ? 'Bearer realm="soldier"'
        : `Bearer realm="soldier", error="invalid_token", error_description="${fault.message.replaceAll('"', "'")}"`;
  const allow = fault.metadata["allow"];
  if (fault.reason === "METHOD_NOT_ALLOWED" && allow) headers["allow"] = allow;
  return headers;
}
