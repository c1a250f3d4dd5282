import { Code, ConnectError } from "@connectrpc/connect";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { Fault, type FaultKind } from "@soldier/kernel/fault";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "@soldier/proto/google/rpc/error_details";

const domain = "soldier";

const codes: Readonly<Record<FaultKind, Code>> = {
  invalid: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  forbidden: Code.PermissionDenied,
  "not-found": Code.NotFound,
  "already-exists": Code.AlreadyExists,
  conflict: Code.Aborted,
  precondition: Code.FailedPrecondition,
  exhausted: Code.ResourceExhausted,
  deadline: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  unavailable: Code.Unavailable,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
  "data-loss": Code.DataLoss,
};

const kinds: Readonly<Record<Code, FaultKind>> = {
  [Code.InvalidArgument]: "invalid",
  [Code.OutOfRange]: "invalid",
  [Code.Unauthenticated]: "unauthenticated",
  [Code.PermissionDenied]: "forbidden",
  [Code.NotFound]: "not-found",
  [Code.AlreadyExists]: "already-exists",
  [Code.Aborted]: "conflict",
  [Code.FailedPrecondition]: "precondition",
  [Code.ResourceExhausted]: "exhausted",
  [Code.DeadlineExceeded]: "deadline",
  [Code.Canceled]: "cancelled",
  [Code.Unavailable]: "unavailable",
  [Code.Unimplemented]: "unimplemented",
  [Code.Internal]: "internal",
  [Code.Unknown]: "internal",
  [Code.DataLoss]: "data-loss",
};

/** gRPC's own name of a code, as in its documentation: NOT_FOUND. */
export function codeName(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/**
 * What goes over the wire: the code of the fault's kind, the reason, fields and delay as details.
 * Of anything that is no Fault the caller learns only that it happened; its cause stays here.
 */
export function wireError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const fault = error instanceof Fault ? error : hidden(error);
  const details: NonNullable<ConstructorParameters<typeof ConnectError>[3]> = [
    {
      desc: ErrorInfoSchema,
      value: { reason: fault.reason, domain, metadata: { ...fault.metadata } },
    },
  ];
  if (fault.fields.length > 0)
    details.push({ desc: BadRequestSchema, value: { fieldViolations: [...fault.fields] } });
  if (fault.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(fault.retryAfterMs);
    details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  return new ConnectError(fault.message, codes[fault.kind], undefined, details, error);
}

function hidden(cause: unknown): Fault {
  return new Fault("internal", "something went wrong on our side", { cause });
}

/** What a caller gets: the Fault that the other side threw, or one that says how the call failed. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const failure = ConnectError.from(error);
  const kind = kinds[failure.code];
  const info = failure.findDetails(ErrorInfoSchema)[0];
  // Without our details it was not one of our handlers that failed but the way to it.
  if (!info) return transportFault(kind, failure);
  const fields = failure.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
  const delay = failure.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new Fault(kind, failure.rawMessage, {
    reason: info.reason,
    metadata: info.metadata,
    fields: fields.map(({ field, description }) => ({ field, description })),
    ...(delay && { retryAfterMs: durationMs(delay) }),
  });
}

function transportFault(kind: FaultKind, cause: ConnectError): Fault {
  // Transport messages name addresses and sockets: for our log, not for a caller outside.
  if (kind === "exhausted") return tooLarge(cause);
  // A stream that breaks off when its server is killed comes as this, too.
  const met = kind === "internal" ? "unavailable" : kind;
  return new Fault(met, told[met] ?? cause.rawMessage, { cause });
}

const told: Partial<Record<FaultKind, string>> = {
  unavailable: "a service cannot be reached; try again",
  cancelled: "the call was cancelled",
  deadline: "the call took longer than it may",
};

/** For a message over the limit: the one reason why a transport itself refuses a call. */
export function tooLarge(cause?: unknown): Fault {
  return new Fault("exhausted", "the message is larger than [server] max_message_bytes allows", {
    reason: "MESSAGE_TOO_LARGE",
    ...(cause !== undefined && { cause }),
  });
}
