import { randomBytes } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { describeOn, testNats } from "@soldier/storage/testing";
import { describe } from "vitest";
import type { DeadLetter } from "./bus.ts";
import { openBus } from "./open-bus.ts";
import type { EventsSettings } from "./events-settings.ts";
import { eventBusContract, type Subject } from "./event-bus.contract.ts";
import { parseSubject } from "./event.ts";
import { keeping } from "./testing.ts";

function settingsOf(url: string): EventsSettings {
  const root = `test_${randomBytes(6).toString("hex")}`;
  return { url, root, replicas: 1, keep_hours: 1, connect_timeout_ms: 5_000, ...keeping };
}

describe("the bus in one process", () => {
  eventBusContract(async () => {
    const opened = new AsyncDisposableStack();
    const settings = settingsOf(`inproc://${randomBytes(6).toString("hex")}`);
    const letters: DeadLetter[] = [];
    return {
      connect: () =>
        openBus({ settings, opened, deadLetter: async (letter) => void letters.push(letter) }),
      deadLetters: async () => letters,
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  });
});

describeOn("the bus", testNats(), (backend) => {
  eventBusContract(async (): Promise<Subject> => {
    const opened = new AsyncDisposableStack();
    const { url } = opened.use(await backend.open());
    const settings = settingsOf(url);
    const connection = await connect({ servers: new URL(url).host });
    opened.defer(() => connection.close());
    const manager = await jetstreamManager(connection);
    opened.defer(async () => {
      for await (const { config } of manager.streams.list())
        if (config.name.startsWith(settings.root)) await manager.streams.delete(config.name);
    });
    return {
      connect: () => openBus({ settings, opened }),
      deadLetters: () => lettersIn(manager, `${settings.root}_dead_letters`),
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  });
});

async function lettersIn(
  manager: Awaited<ReturnType<typeof jetstreamManager>>,
  stream: string,
): Promise<readonly DeadLetter[]> {
  const info = await manager.streams.info(stream).catch(() => undefined);
  const letters: DeadLetter[] = [];
  for (let seq = info?.state.first_seq ?? 1; seq <= (info?.state.last_seq ?? 0); seq++) {
    const message = await manager.streams.getMessage(stream, { seq });
    const header = (name: string) => message?.header.get(name) ?? "";
    const traceparent = header("traceparent");
    letters.push({
      event: {
        id: header("Soldier-Event-Id"),
        ...(parseSubject(header("Soldier-Subject")) ?? { topic: "", tenantId: "" }),
        payload: message?.data ?? new Uint8Array(),
        ...(traceparent && { traceparent }),
        occurredAt: new Date(header("Soldier-Occurred-At")),
      },
      consumer: header("Soldier-Consumer"),
      attempts: Number(header("Soldier-Attempts")),
      reason: header("Soldier-Reason"),
    });
  }
  return letters;
}
