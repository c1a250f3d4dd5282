import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import {
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { Fault } from "@soldier/kernel/fault";
import type { Admission } from "./admission.ts";
import { admitted } from "./admitted.ts";
import { around, type Request } from "./around.ts";
import type { ChassisSettings } from "./chassis-settings.ts";
import { admit, contextWithArrival, contextWithService } from "./current.ts";
import { damagedRows } from "./damaged-rows.ts";
import { deadlines } from "./deadline.ts";
import { codeName, faultOf, wireError } from "./faults.ts";
import { type Identity, identityKey } from "./identity.ts";
import type { Logger } from "./log.ts";
import { counted } from "./counted.ts";
import { serverRed } from "./metrics.ts";
import { rpcName } from "./rpc-name.ts";
import { roles } from "./roles.ts";
import { contextFrom, fail, tracer } from "./tracing.ts";
import { validation } from "./validation.ts";

/** Says who makes a call, from its headers; throws "unauthenticated". */
export type Authenticate = (headers: Headers) => Identity | Promise<Identity>;

export interface ServerOptions {
  /** The service whose handlers these are. */
  readonly service: string;
  readonly settings: ChassisSettings["server"];
  readonly authenticate: Authenticate;
  readonly admission: Admission;
  /** Methods without a role that begin work. */
  readonly begins: readonly DescMethod[];
  readonly log: Logger;
}

/** What is done around every handler, whichever way a call comes in; the first is outermost. */
export function serverInterceptors(options: ServerOptions): readonly Interceptor[] {
  return [
    traced(options.service),
    counted(serverRed, options.service),
    logged(options.log),
    faultsAsCodes,
    deadlines(options.settings.max_deadline_ms),
    identified(options.authenticate),
    roles,
    admitted(options.admission, options.begins),
    damagedRows(options.service, options.log),
    validation,
  ];
}

/** The same for the services that anyone may ask: health and reflection. They may watch for ever. */
export function openServerInterceptors(
  options: Pick<ServerOptions, "service">,
): readonly Interceptor[] {
  return [traced(options.service), faultsAsCodes];
}

/** Begins the call's span and its context: nothing of the caller's own is seen by the handler. */
function traced(service: string): Interceptor {
  const root = contextWithService(ROOT_CONTEXT, service);
  return around((req) => {
    const parent = contextFrom(contextWithArrival(root), req.header.get("traceparent"));
    const span = tracer.startSpan(rpcName(req), spanOptions(req), parent);
    const here = trace.setSpan(parent, span);
    return spanAround(span, here);
  });
}

function spanAround(span: Span, here: Context) {
  return {
    run: <T>(part: () => T): T => context.with(here, part),
    ended: () => span.end(),
    failed(error: unknown) {
      fail(span, faultOf(error));
      span.end();
      return error;
    },
  };
}

/** In a flood there are thousands of these; metrics count them. */
const shed = new Set(["OVERLOADED", "RATE_LIMITED"]);

/** One line for each call: at debug when it went well, at warn or error when not. No payloads. */
function logged(log: Logger): Interceptor {
  return around((req) => {
    const startedMs = performance.now();
    const facts = (code: string) => ({
      rpc: rpcName(req),
      code,
      elapsed_ms: Math.round((performance.now() - startedMs) * 100) / 100,
    });
    return {
      ended() {
        if (log.isLevelEnabled("debug")) log.debug(facts("OK"), "answered");
      },
      failed(error) {
        const failure = wireError(error);
        const { kind, reason } = faultOf(failure);
        const why = { ...facts(codeName(failure.code)), reason };
        const { cause } = failure;
        const isOurs = kind === "internal" || kind === "data-loss";
        if (isOurs && !(cause instanceof Fault && cause.cause === undefined))
          log.error({ ...why, error: cause }, "failed");
        else if (cause instanceof Fault && cause.cause !== undefined)
          log.warn({ ...why, error: cause.cause }, "refused");
        else if (kind === "cancelled") log.debug(why, "cancelled");
        else if (shed.has(reason)) log.debug(why, "refused");
        else log.warn(why, "refused");
        return error;
      },
    };
  });
}

/** A Fault leaves as the code of its kind; anything else as "internal", without its message. */
const faultsAsCodes: Interceptor = around(() => ({ failed: wireError }));

function identified(authenticate: Authenticate): Interceptor {
  return (next) => async (req) => {
    const found = authenticate(req.header);
    const identity = found instanceof Promise ? await found : found;
    admit({ identity });
    req.contextValues.set(identityKey, identity);
    const span = trace.getActiveSpan();
    if (span?.isRecording()) span.setAttribute("soldier.tenant", identity.tenantId);
    return next(req);
  };
}

function spanOptions(req: Request) {
  return {
    kind: SpanKind.SERVER,
    attributes: {
      "rpc.system": "grpc",
      "rpc.service": req.service.typeName,
      "rpc.method": req.method.name,
    },
  };
}
