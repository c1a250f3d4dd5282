import { describeOn, testNats } from "@soldier/storage/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { EventBus } from "./bus.ts";
import { type DeadLetterStream, openDeadLetters } from "./dead-letter-stream.ts";
import { anEvent } from "./event-bus.contract.ts";
import type { Event } from "./event.ts";
import { openBus } from "./open-bus.ts";
import { removeStreams, testEvents } from "./testing.ts";

const topic = "thing.happened";
const everything = { lettersMax: 100 };

describeOn("dead letters", testNats(), (backend) => {
  let opened: AsyncDisposableStack;
  let bus: EventBus;
  let letters: DeadLetterStream;
  /** What a consumer that fails as long as it shall has got, and one that never fails. */
  let failing: boolean;
  let tried: Event[];
  let others: Event[];

  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    const settings = testEvents(opened.use(await backend.open()).url);
    opened.defer(() => removeStreams(settings));
    bus = await openBus({ settings, opened });
    letters = await openDeadLetters(settings, opened);
    failing = true;
    tried = [];
    others = [];
    const consumption = { topics: [topic], attemptsMax: 2, backoff: () => 5 };
    await bus.consume({ consumer: "picky", ...consumption }, async (event) => {
      tried.push(event);
      if (failing) throw new Error("not today");
    });
    await bus.consume({ consumer: "easy", ...consumption }, async (event) => {
      others.push(event);
    });
  });
  afterEach(() => opened.disposeAsync());

  async function buried(): Promise<Event> {
    const event = anEvent({ topic });
    await bus.publish(event);
    await expect.poll(async () => (await letters.list(everything)).at(-1)?.eventId).toBe(event.id);
    return event;
  }

  it("are none as long as nothing was given up", async () => {
    expect(await letters.list(everything)).toEqual([]);
    expect(await letters.get(1)).toBeUndefined();
    await expect(letters.drop(1)).rejects.toMatchObject({ reason: "DEAD_LETTER_NOT_FOUND" });
  });

  it("are listed with who gave what up and why, the oldest first", async () => {
    const first = await buried();
    const second = await buried();
    const found = await letters.list(everything);
    expect(found).toMatchObject([
      { number: 1, eventId: first.id, consumer: "picky", attempts: 2, reason: "Error: not today" },
      { number: 2, eventId: second.id },
    ]);
    expect(await letters.list({ lettersMax: 1 })).toHaveLength(1);
    expect(await letters.list({ ...everything, consumer: "easy" })).toEqual([]);
    expect(await letters.get(2)).toMatchObject({ eventId: second.id, payload: second.payload });
  });

  it("come again when replayed, at once and by the same id, and are gone then", async () => {
    const event = await buried();
    failing = false;
    tried = [];
    await letters.replay(1);
    await expect.poll(() => tried.map(({ id }) => id)).toEqual([event.id]);
    expect(tried[0]).toMatchObject({ tenantId: event.tenantId, occurredAt: event.occurredAt });
    // Whoever had it gets it again, too: by its id it knows.
    await expect.poll(() => others.map(({ id }) => id)).toEqual([event.id, event.id]);
    expect(await letters.list(everything)).toEqual([]);
  });

  it("are kept again when they fail again", async () => {
    const event = await buried();
    await letters.replay(1);
    await expect.poll(async () => (await letters.list(everything))[0]?.number).toBe(2);
    expect(await letters.list(everything)).toMatchObject([{ eventId: event.id, attempts: 2 }]);
  });

  it("are gone for good when dropped", async () => {
    await buried();
    await letters.drop(1);
    expect(await letters.list(everything)).toEqual([]);
    expect(await letters.get(1)).toBeUndefined();
  });
});

it("dead letters without a broker are somewhere else, which is said", async () => {
  await using opened = new AsyncDisposableStack();
  await expect(openDeadLetters(testEvents(), opened)).rejects.toMatchObject({
    reason: "NO_BROKER",
  });
});
