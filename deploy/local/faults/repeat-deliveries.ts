import { randomUUID } from "node:crypto";
import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";

export interface Repeating extends AsyncDisposable {
  readonly count: number;
}

/**
 * Publishes every event a second time, with its own id, but with another one for the broker, which
 * would notice otherwise.
 */
export async function repeatDeliveries(port: number): Promise<Repeating> {
  const nats = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1 });
  let count = 0;
  const closing = new AbortController();
  const isClosing = () => closing.signal.aborted;
  void (async () => {
    while (!isClosing())
      try {
        await follow();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 500)); // the broker is away or new
      }
  })();

  async function follow(): Promise<void> {
    const manager = await jetstreamManager(nats);
    const stream = "soldier_turn";
    await manager.streams.info(stream);
    const consumer = await jetstream(nats).consumers.get(stream, {
      deliver_policy: DeliverPolicy.New,
    });
    for await (const message of await consumer.consume()) {
      if (isClosing()) return;
      if (message.headers?.get("Soldier-Repeated")) continue;
      const again = headers();
      for (const key of message.headers?.keys() ?? [])
        for (const value of message.headers?.values(key) ?? []) again.append(key, value);
      again.set("Soldier-Repeated", "yes");
      again.set("Soldier-Event-Id", message.headers?.get("Nats-Msg-Id") ?? "");
      again.set("Nats-Msg-Id", randomUUID());
      // Plain, not by JetStream's client, which would be told of a duplicate: the subject is enough.
      nats.publish(message.subject, message.data, { headers: again });
      count += 1;
    }
  }

  return {
    get count() {
      return count;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await nats.close();
    },
  };
}
