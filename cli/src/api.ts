import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { around } from "@soldier/chassis/around";
import { clientOf } from "@soldier/chassis/client";
import { faultOf } from "@soldier/chassis/faults";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { ErrorInfoSchema } from "@soldier/proto/google/rpc/error_details";
import type { Connection } from "./connection.ts";

// Publishing may embed every rule anew.
const deadlineMs = 120_000;

/** Clients of the public API. Calls fail with the Fault that Soldier threw, or one that says why not. */
export function openApi({ url, token }: Connection): Call {
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
  const interceptors: readonly Interceptor[] = [
    around(() => ({ failed: (error) => refusal(error, url) })),
    (next) => (req) => {
      req.header.set("authorization", `Bearer ${token}`);
      return next(req);
    },
  ];
  return (service) => clientOf(service, transport, { interceptors, deadlineMs });
}

function refusal(error: unknown, url: string): Fault {
  if (error instanceof Fault) return error;
  const failure = ConnectError.from(error);
  const isTold = failure.findDetails(ErrorInfoSchema).length > 0;
  if (isTold || failure.code === Code.Canceled || failure.code === Code.DeadlineExceeded)
    return faultOf(failure);
  // Soldier always says why, so this was the way to it, or somebody else.
  if (failure.code === Code.Unavailable)
    return new Fault("unavailable", `nobody answers at ${url}. Start Soldier with \`npm start\``, {
      reason: "NOTHING_RUNNING",
      cause: error,
    });
  return new Fault("unavailable", `${url} does not answer as Soldier: ${failure.rawMessage}`, {
    reason: "ANSWER_INVALID",
    cause: error,
  });
}
