import { setTimeout as pause } from "node:timers/promises";
import { Fault, type FaultKind } from "@soldier/kernel/fault";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { z } from "zod";
import { type Identity, tenantOf } from "./identity.ts";
import { type Call, route, service } from "./service.ts";
import { currentTraceId } from "./tracing.ts";

/** What the handlers of the sample service have noticed, for suites to look at. */
export interface Noticed {
  readonly cancelled: string[];
  readonly left: string[];
}

const faults: Readonly<Record<string, Fault>> = {
  exhausted: new Fault("exhausted", "too many", { reason: "RATE_LIMITED", retryAfterMs: 1_500 }),
  invalid: new Fault("invalid", "not so", {
    reason: "BAD_TEXT",
    fields: [{ field: "text", description: "must be nicer" }],
    metadata: { hint: "smile" },
  }),
};

/** The service that the contract suites run: it answers with what it was asked and told. */
export function echoService(noticed: Noticed, options: { readonly edge?: true } = {}) {
  return service({
    name: "echo",
    begins: [EchoService.method.echo, EchoService.method.count],
    settings: { echo: z.strictObject({ loud: z.boolean().default(false) }) },
    ...options,
    start: async ({ call }) => ({
      routes: [echoRpc(call, noticed)],
      ...(options.edge && { authenticate: identityFromTestToken }),
    }),
  });
}

function echoRpc(call: Call, noticed: Noticed) {
  const self = call(EchoService);
  return route(EchoService, {
    async echo({ text, payload }, ctx) {
      const answer = {
        text,
        payload,
        tenantId: tenantOf(ctx),
        remainingMs: BigInt(Math.round(ctx.timeoutMs() ?? 0)),
        traceId: currentTraceId() ?? "",
      };
      if (text.startsWith("relay:")) return self.echo({ text: text.slice("relay:".length) });
      if (text.startsWith("fail:")) throw faultOf(text.slice("fail:".length));
      if (text === "crash") throw new Error("the password is swordfish");
      if (text.startsWith("slow")) {
        await untilAborted(ctx.signal);
        noticed.cancelled.push(text);
        throw ctx.signal.reason;
      }
      if (text === "deaf") await pause(5_000, undefined, { ref: false });
      if (text === "headers") {
        ctx.responseHeader.set("x-answer", ctx.requestHeader.get("x-question") ?? "none");
        ctx.responseTrailer.set("x-after", "all");
      }
      if (text.startsWith("long:")) return { ...answer, text: "x".repeat(Number(text.slice(5))) };
      return answer;
    },

    async *count({ count, failAfter }, ctx) {
      ctx.responseHeader.set("x-count", String(count));
      try {
        for (let number = 0; number < count; number++) {
          if (failAfter > 0 && number === failAfter)
            throw new Fault("conflict", "the world has moved on", { reason: "MOVED_ON" });
          yield { number };
        }
      } finally {
        noticed.left.push(ctx.requestHeader.get("x-name") ?? "");
      }
    },

    async *converse(requests) {
      for await (const { text } of requests) {
        if (text === "fail") throw new Fault("not-found", "nothing of that name");
        if (text === "bye") return;
        yield { text };
      }
    },

    async guarded() {
      return {};
    },
  });
}

function faultOf(kind: string): Fault {
  return faults[kind] ?? new Fault(kind as FaultKind, `failed with ${kind}`); // the suite names kinds
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The edge of the suite takes any token of the form "test <tenant> <role,role>". */
async function identityFromTestToken(headers: Headers): Promise<Identity> {
  const header = headers.get("authorization");
  if (!header) throw new Fault("unauthenticated", "no token", { reason: "TOKEN_MISSING" });
  const [scheme, tenantId, roles = ""] = header.split(" ");
  if (scheme !== "test" || !tenantId)
    throw new Fault("unauthenticated", "not a token", { reason: "TOKEN_INVALID" });
  return { tenantId, subject: "tester", roles: roles.split(",") };
}
