import type { HandlerContext } from "@connectrpc/connect";
import type { Clock } from "@soldier/kernel/clock";
import type { Publisher } from "../publish/publisher.ts";
import type { ConfigStore } from "../store/config-store.ts";

/** What the handlers work with. */
export interface Parts {
  readonly store: ConfigStore;
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** Something was committed that has events: they may leave at once. */
  readonly committed: () => void;
}

/** What a handler needs of its context. */
export type Context = Pick<HandlerContext, "values" | "signal">;
