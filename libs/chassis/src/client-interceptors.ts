import type { Interceptor } from "@connectrpc/connect";
import { SpanKind } from "@opentelemetry/api";
import type { Clock } from "@soldier/kernel/clock";
import { around } from "./around.ts";
import type { ChassisSettings } from "./chassis-settings.ts";
import { currentCall } from "./current.ts";
import { faultOf } from "./faults.ts";
import { counted } from "./counted.ts";
import { clientRed } from "./metrics.ts";
import { retrying } from "./retry.ts";
import { rpcName } from "./rpc-name.ts";
import { throttled } from "./throttled.ts";
import type { Tokens } from "./tokens.ts";
import { fail, traceparentOf, tracer } from "./tracing.ts";

export interface ClientOptions {
  /** The service that calls. */
  readonly service: string;
  readonly calls: ChassisSettings["calls"];
  readonly tokens: Tokens;
  readonly clock: Clock;
}

/** What is done around every call to another service; the first is outermost. */
export function clientInterceptors(options: ClientOptions): readonly Interceptor[] {
  return [
    codesAsFaults,
    throttled(options),
    retrying(options.calls, options.service, options.clock),
    traced,
    counted(clientRed, options.service),
    identified(options.tokens),
  ];
}

/** Callers catch Faults, by their reason, wherever the other service runs. */
const codesAsFaults: Interceptor = around(() => ({ failed: faultOf }));

/** Each attempt is a span of its own, and the parent of what happens on the other side. */
const traced: Interceptor = around((req) => {
  const span = tracer.startSpan(rpcName(req), {
    kind: SpanKind.CLIENT,
    attributes: {
      "rpc.system": "grpc",
      "rpc.service": req.service.typeName,
      "rpc.method": req.method.name,
    },
  });
  req.header.set("traceparent", traceparentOf(span.spanContext()));
  return {
    ended: () => span.end(),
    failed(error) {
      fail(span, faultOf(error));
      span.end();
      return error;
    },
  };
});

/** Says for whom the call is made, unless the caller has said so itself. */
function identified(tokens: Tokens): Interceptor {
  return (next) => async (req) => {
    const { identity } = currentCall();
    if (identity && !req.header.has("authorization")) {
      const found = tokens.authorizationFor(identity);
      req.header.set("authorization", typeof found === "string" ? found : await found);
    }
    return next(req);
  };
}
