import type { Log } from "@soldier/kernel/log";
import type { DeadLetterSink, EventBus, EventHandler } from "./bus.ts";
import { type Durable, durable } from "./in-process-durable.ts";
import { domainOf, type Event } from "./event.ts";
import { traced } from "./tracing.ts";
import { untilAborted } from "./until-aborted.ts";

interface Listener {
  readonly topics: ReadonlySet<string>;
  readonly log: Log;
  readonly handle: EventHandler;
}

/** What all buses of one name in this process share. */
interface Hub {
  readonly durables: Map<string, Durable>;
  readonly listeners: Set<Listener>;
  /** Those who wait for a consumer that isn't there yet. */
  readonly arrivals: Set<() => void>;
  users: number;
}

const hubs = new Map<string, Hub>();

export interface InProcessOptions {
  readonly name: string;
  /** Durable consumers that nothing may be published without, even before they have come. */
  readonly awaited: readonly string[];
  readonly deadLetter: DeadLetterSink | undefined;
  readonly opened: AsyncDisposableStack;
  readonly log: Log;
}

/**
 * A bus without a broker, to everyone in this process who names it the same. An event isn't stored:
 * `publish` resolves when each durable consumer has taken it, and waits for one that has left. The
 * outbox is what keeps it over a crash. A durable consumer is forgotten when the last bus of the
 * name closes.
 */
export function inProcessBus(options: InProcessOptions): EventBus {
  const { name, awaited, deadLetter, opened, log } = options;
  const hub = hubs.get(name) ?? newHub(name);
  hub.users++;
  opened.defer(() => {
    hub.users--;
    if (hub.users === 0) hubs.delete(name);
  });

  return {
    async publish(event, signal) {
      await untilAborted(deliver(hub, awaited, event, signal), signal);
      return undefined;
    },
    // It was taken, and nothing is kept that could be lost.
    holds: async () => true,
    returns: () => 0,
    erase: async () => ({ erased: 0, pending: 0 }),

    async consume(consumption, handle) {
      const stack = new AsyncDisposableStack();
      const ours = traced(consumption.consumer, handle, log);
      for (const topic of consumption.topics) {
        domainOf(topic);
        const one = durableOf(hub, consumption.consumer, topic);
        stack.use(one.join(consumption, ours, deadLetter, log));
      }
      for (const arrived of hub.arrivals) arrived();
      return owned(opened, stack);
    },

    async broadcast(topics, handle) {
      const stack = new AsyncDisposableStack();
      const ours = traced("broadcast", handle, log);
      const listener = { topics: new Set(topics.filter(domainOf)), handle: ours, log };
      hub.listeners.add(listener);
      stack.defer(() => void hub.listeners.delete(listener));
      return owned(opened, stack);
    },
  };
}

async function deliver(
  hub: Hub,
  awaited: readonly string[],
  event: Event,
  signal: AbortSignal | undefined,
): Promise<void> {
  domainOf(event.topic);
  await allHere(hub, awaited, signal);
  for (const listener of hub.listeners)
    if (listener.topics.has(event.topic)) void tell(listener, event);
  const durables = [...hub.durables.values()].filter(({ topic }) => topic === event.topic);
  const outcomes = await Promise.allSettled(durables.map((one) => one.take(event, signal)));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

function newHub(name: string): Hub {
  const hub: Hub = { durables: new Map(), listeners: new Set(), arrivals: new Set(), users: 0 };
  hubs.set(name, hub);
  return hub;
}

function durableOf(hub: Hub, consumer: string, topic: string): Durable {
  const key = `${consumer} ${topic}`;
  const found = hub.durables.get(key);
  if (found) return found;
  const made = durable(consumer, topic);
  hub.durables.set(key, made);
  return made;
}

/** Waits until each of these has come at least once. */
async function allHere(
  hub: Hub,
  awaited: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const here = () => new Set([...hub.durables.values()].map(({ consumer }) => consumer));
  while (!awaited.every((consumer) => here().has(consumer))) {
    const { promise, resolve } = Promise.withResolvers<void>();
    hub.arrivals.add(resolve);
    try {
      await untilAborted(promise, signal);
    } finally {
      hub.arrivals.delete(resolve);
    }
  }
}

async function tell({ handle, log }: Listener, event: Event): Promise<void> {
  const { signal } = new AbortController();
  try {
    await handle(event, { attempt: 1, signal });
  } catch (error) {
    log.error({ topic: event.topic, event: event.id, err: error }, "a listener failed");
  }
}

/** Closes with the bus at the latest. */
function owned(opened: AsyncDisposableStack, stack: AsyncDisposableStack): AsyncDisposable {
  opened.use(stack);
  return stack;
}
