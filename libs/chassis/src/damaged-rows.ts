import type { Interceptor } from "@connectrpc/connect";
import { Counter } from "prom-client";
import type { Logger } from "./log.ts";
import { rpcName } from "./rpc-name.ts";

const damaged = new Counter({
  name: "soldier_damaged_rows_total",
  help: "Rows that lists left out since they can't be read",
  labelNames: ["service", "rpc", "table"],
});

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
      damaged.inc({ service, rpc, table });
      log.error({ rpc, table, id, reason: "ROW_DAMAGED" }, message);
    }
    return res;
  };
}
