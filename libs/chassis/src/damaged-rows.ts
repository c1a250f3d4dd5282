import type { Interceptor } from "@connectrpc/connect";
import type { Logger } from "./log.ts";
import { rowsLeftOut } from "./metrics.ts";
import { rpcName } from "./rpc-name.ts";

interface Told {
  readonly table: string;
  readonly id: string;
  readonly message: string;
}

/** Tells operators what a list tells its caller: which rows it had to leave out. */
export function damagedRows(service: string, log: Logger): Interceptor {
  return (next) => async (req) => {
    const res = await next(req);
    if (res.stream || !("damagedRows" in res.message)) return res;
    const rpc = rpcName(req);
    // The contract has one message for them.
    for (const { table, id, message } of res.message.damagedRows as readonly Told[]) {
      rowsLeftOut.inc({ service, rpc, table });
      log.error({ rpc, table, id, reason: "ROW_DAMAGED" }, message);
    }
    return res;
  };
}
