import type { Interceptor } from "@connectrpc/connect";
import { around } from "./around.ts";
import { codeName, wireError } from "./faults.ts";
import { type Red, type RpcMeter, rpcMeter } from "./metrics.ts";
import { rpcName } from "./rpc-name.ts";

/** Counts and times the calls of one side. */
export function counted(red: Red, service: string): Interceptor {
  const meters = new Map<string, RpcMeter>();
  const meterOf = (rpc: string): RpcMeter => {
    const known = meters.get(rpc);
    if (known) return known;
    const made = rpcMeter(red, service, rpc);
    meters.set(rpc, made);
    return made;
  };
  return around((req) => {
    const meter = meterOf(rpcName(req));
    const startedMs = performance.now();
    meter.started();
    return {
      ended: () => meter.ended("OK", performance.now() - startedMs),
      failed(error) {
        meter.ended(codeName(wireError(error).code), performance.now() - startedMs);
        return error;
      },
    };
  });
}
