import type { HandlerContext } from "@connectrpc/connect";
import type { Route } from "@soldier/chassis/service";
import { currentTraceId } from "@soldier/chassis/tracing";

type Handler = (input: unknown, ctx: HandlerContext) => unknown;

/** The same handlers, whose answers say in a header by which trace to follow the call. */
export function tellingTrace(route: Route): Route {
  const handlers = Object.entries(route.implementation).map(([name, handler]) => {
    const told: Handler = (input, ctx) => {
      const traceId = currentTraceId();
      if (traceId !== undefined) ctx.responseHeader.set("trace-id", traceId);
      return (handler as Handler)(input, ctx); // an implementation holds nothing but handlers
    };
    return [name, told];
  });
  return { ...route, implementation: Object.fromEntries(handlers) };
}
