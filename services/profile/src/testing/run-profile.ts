import { randomBytes } from "node:crypto";
import { runForTest, type TestMesh } from "@soldier/chassis/testing";
import type { EventBus } from "@soldier/events/bus";
import { openBus } from "@soldier/events/open-bus";
import type { Clock } from "@soldier/kernel/clock";
import type { Backend, TestDatabase } from "@soldier/storage/testing";
import { profile } from "../service.ts";
import { keeping } from "@soldier/events/testing";

export interface ProfileUnderTest extends AsyncDisposable {
  readonly mesh: TestMesh;
  /** Of the same name: to publish what the service follows and to hear what it says. */
  readonly bus: EventBus;
}

export interface ProfileOptions {
  readonly database: Backend<TestDatabase>;
  /** A broker; the bus in this process unless given. */
  readonly broker?: Backend<{ readonly url: string }>;
  readonly clock?: Clock;
}

/** The service by itself, on a database of its own. */
export async function runProfile(options: ProfileOptions): Promise<ProfileUnderTest> {
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
    await runForTest([profile], {
      settings: {
        profile: { encryption_key: "a key of thirty-two characters!!" },
        postgres,
        events,
      },
      ...(options.clock && { clock: options.clock }),
    }),
  );
  // The bus goes on using its stack, so it cannot be the one that is moved.
  const ofBus = opened.use(new AsyncDisposableStack());
  const bus = await openBus({ settings: events, opened: ofBus });
  const all = opened.move();
  return { mesh, bus, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
