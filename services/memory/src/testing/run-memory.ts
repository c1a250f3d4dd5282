import { randomBytes } from "node:crypto";
import { runForTest, type TestMesh } from "@soldier/chassis/testing";
import type { EventBus } from "@soldier/events/bus";
import { openBus } from "@soldier/events/open-bus";
import type { Backend, TestDatabase } from "@soldier/storage/testing";
import { memory } from "../service.ts";
import { keeping } from "@soldier/events/testing";

export interface MemoryUnderTest extends AsyncDisposable {
  readonly mesh: TestMesh;
  /** Of the same name: to publish what the service follows. */
  readonly bus: EventBus;
}

export interface MemoryOptions {
  readonly database: Backend<TestDatabase>;
  /** A broker; the bus in this process unless given. */
  readonly broker?: Backend<{ readonly url: string }>;
  /** The [embedder] table. */
  readonly embedder?: Readonly<Record<string, unknown>>;
  /** Other tables. */
  readonly tables?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Over the [memory] table. */
  readonly memory?: Readonly<Record<string, unknown>>;
}

/** The service by itself, on a database of its own, with an embedder that knows letters only. */
export async function runMemory(options: MemoryOptions): Promise<MemoryUnderTest> {
  await using opened = new AsyncDisposableStack();
  const { settings: postgres } = opened.use(await options.database.open());
  const name = `test_${randomBytes(6).toString("hex")}`;
  const url = options.broker
    ? opened.use(await options.broker.open()).url
    : `inproc://${name.replaceAll("_", "-")}`;
  const events = {
    url,
    root: name,
    replicas: 1,
    keep_hours: 1,
    connect_timeout_ms: 5_000,
    ...keeping,
  };
  const mesh = opened.use(
    await runForTest([memory], {
      settings: {
        postgres,
        events,
        embedder: options.embedder ?? { provider: "deterministic", dimensions: 64 },
        ...options.tables,
        memory: { ...options.memory },
      },
    }),
  );
  // The bus goes on using its stack, so it cannot be the one that is moved.
  const ofBus = opened.use(new AsyncDisposableStack());
  const bus = await openBus({ settings: events, opened: ofBus });
  const all = opened.move();
  return { mesh, bus, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
