import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import type { DeadLetterSink, EventBus } from "./bus.ts";
import type { EventsSettings } from "./events-settings.ts";
import { inProcessBus } from "./in-process.ts";
import { jetStreamBus } from "./jetstream.ts";

export interface OpenBusOptions {
  readonly settings: EventsSettings;
  /** Closes the consumers, after the handlers that run, and the connection when the service stops. */
  readonly opened: AsyncDisposableStack;
  readonly log?: Log;
  /**
   * Where this process' consumers put what they give up when the bus is in this process; see
   * deadLettersInto. Without one, publishing such an event rejects and it stays in the outbox.
   * JetStream has a stream for them.
   */
  readonly deadLetter?: DeadLetterSink;
}

/** Throws the Fault "unavailable", with a sentence for the operator, when the broker can't be reached. */
export async function openBus(options: OpenBusOptions): Promise<EventBus> {
  const { settings, opened, log = silentLog, deadLetter } = options;
  if (!settings.url.startsWith("inproc://")) return await jetStreamBus({ settings, opened, log });
  const url = new URL(settings.url);
  const awaited = url.searchParams.get("consumers")?.split(",").filter(Boolean) ?? [];
  const unknown = [...url.searchParams.keys()].filter((key) => key !== "consumers");
  if (unknown.length > 0) throw new Fault("invalid", `inproc:// knows no ${unknown.join(", ")}`);
  return inProcessBus({ name: url.hostname, awaited, deadLetter, opened, log });
}
