import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import { newId } from "@soldier/kernel/ids";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { register } from "prom-client";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Consumption, DeadLetter, EventBus } from "./bus.ts";
import type { Event } from "./event.ts";

/** A bus under test. */
export interface Subject extends AsyncDisposable {
  /** Another process' bus, connected to the same. */
  connect(): Promise<EventBus>;
  deadLetters(): Promise<readonly DeadLetter[]>;
}

const topic = "thing.happened";
const spans = new InMemorySpanExporter();
const quick = () => 5;

/** What every event bus promises. */
export function eventBusContract(open: () => Promise<Subject>): void {
  let subject: Subject;
  let bus: EventBus;

  beforeAll(() => {
    const spanProcessors = [new SimpleSpanProcessor({ exporter: spans })];
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors }));
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  });

  beforeEach(async () => {
    subject = await open();
    bus = await subject.connect();
  });
  afterEach(() => subject[Symbol.asyncDispose]());

  /** A consumer that notes what it gets. */
  async function noting(consumption: Partial<Consumption> & { consumer: string }, on = bus) {
    const got: Event[] = [];
    const closing = await on.consume(
      { topics: [topic], backoff: quick, ...consumption },
      async (event) => {
        got.push(event);
      },
    );
    return {
      got,
      ids: () => got.map(({ id }) => id).toSorted(),
      ...closing,
      leave: () => closing[Symbol.asyncDispose](),
    };
  }

  const publishAll = (events: readonly Event[]) =>
    Promise.all(events.map((event) => bus.publish(event)));
  const idsOf = (events: readonly Event[]) => events.map(({ id }) => id).toSorted();

  it("delivers an event as it was published", async () => {
    const audit = await noting({ consumer: "audit" });
    const event = anEvent({
      tenantId: "Köln & söhne.gmbh *>",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      payload: randomBytes(2_000),
    });
    await bus.publish(event);
    await expect.poll(() => audit.got).toEqual([{ ...event, payload: expect.anything() }]);
    expect(Buffer.from(audit.got[0]?.payload ?? []).equals(event.payload)).toBe(true);
  });

  it("runs handlers in the producer's trace, and in the context of who consumes", async () => {
    const caller = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    await caller.run("consumer", () =>
      bus.consume({ consumer: "audit", topics: [topic] }, async () => {
        seen.push([trace.getActiveSpan()?.spanContext().traceId, caller.getStore()]);
      }),
    );
    const [traceId, spanId] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    await caller.run("producer", () =>
      bus.publish(anEvent({ traceparent: `00-${traceId}-${spanId}-01` })),
    );
    await expect.poll(() => seen).toEqual([[traceId, "consumer"]]);
    const named = { name: "consume thing.happened", parentSpanContext: { traceId, spanId } };
    await expect.poll(() => spans.getFinishedSpans().at(-1)).toMatchObject(named);
  });

  it("gives each event to one member of a durable consumer, and to each consumer", async () => {
    const first = await noting({ consumer: "audit" });
    const second = await noting({ consumer: "audit" }, await subject.connect());
    const memory = await noting({ consumer: "memory" });
    const events = many(40);
    await publishAll(events);
    await expect.poll(() => first.got.length + second.got.length).toBe(40);
    await expect.poll(memory.ids).toEqual(idsOf(events));
    expect([...first.got, ...second.got].map(({ id }) => id).toSorted()).toEqual(idsOf(events));
  });

  it("gives a consumer only the topics that it asks for", async () => {
    const both = await noting({ consumer: "both", topics: [topic, "other.happened"] });
    const one = await noting({ consumer: "one" });
    const [wanted, other] = [anEvent({}), anEvent({ topic: "other.happened" })];
    await publishAll([other, wanted]);
    await expect.poll(both.ids).toEqual(idsOf([wanted, other]));
    await expect.poll(one.ids).toEqual([wanted.id]);
  });

  it("delivers again, with the count, until the handler is content", async () => {
    const attempts: number[] = [];
    await bus.consume(
      { consumer: "audit", topics: [topic], backoff: quick },
      async (_, { attempt }) => {
        attempts.push(attempt);
        if (attempt < 3) throw new Error("not yet");
      },
    );
    await bus.publish(anEvent({}));
    await expect.poll(() => attempts).toEqual([1, 2, 3]);
    expect(await subject.deadLetters()).toEqual([]);
  });

  it("puts what a consumer can't take, after its attempts, with the reason, to the dead letters", async () => {
    const other = await noting({ consumer: "other" });
    const consumption = { consumer: "audit", topics: [topic], attemptsMax: 3, backoff: quick };
    await bus.consume(consumption, async ({ tenantId }) => {
      if (tenantId === "poison") throw new TypeError("can't\ntake this");
    });
    const poison = anEvent({
      tenantId: "poison",
      traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    });
    const fine = many(3);
    await publishAll([poison, ...fine]);
    await expect
      .poll(() => subject.deadLetters())
      .toEqual([
        {
          event: { ...poison, payload: expect.anything() },
          consumer: "audit",
          attempts: 3,
          reason: "TypeError: can't take this",
        },
      ]);
    await expect.poll(other.ids).toEqual(idsOf([poison, ...fine]));
  });

  it("counts what is taken, what comes again, and what is given up", async () => {
    const counted = async (metric: string, outcome?: string) => {
      const { values = [] } = (await register.getSingleMetric(metric)?.get()) ?? {};
      const ours = values.filter(
        ({ labels }) => labels["consumer"] === consumer && labels["topic"] === topic,
      );
      return ours.find(({ labels }) => labels["outcome"] === outcome)?.value ?? 0;
    };
    const consumer = `counted-${randomBytes(4).toString("hex")}`;
    const consumption = { consumer, topics: [topic], attemptsMax: 3, backoff: quick };
    await bus.consume(consumption, async ({ tenantId }, { attempt }) => {
      if (tenantId === "poison" || (tenantId === "slow" && attempt < 2)) throw new Error("no");
    });
    await publishAll([anEvent({ tenantId: "poison" }), anEvent({ tenantId: "slow" }), ...many(3)]);
    await expect.poll(() => counted("soldier_dead_letters_total")).toBe(1);
    await expect.poll(() => counted("soldier_events_deliveries_total", "taken")).toBe(4);
    expect(await counted("soldier_events_deliveries_total", "failed")).toBe(3 + 1);
    expect(await counted("soldier_events_redelivered_total")).toBe(2 + 1);
  });

  it("doesn't let a failing event hold up others", async () => {
    const got: string[] = [];
    const consumption = { consumer: "audit", topics: [topic], concurrency: 1, backoff: () => 200 };
    await bus.consume(consumption, async ({ id, tenantId }, { attempt }) => {
      if (tenantId === "slow" && attempt < 3) throw new Error("later");
      got.push(id);
    });
    const [slow, fine] = [anEvent({ tenantId: "slow" }), anEvent({})];
    await publishAll([slow, fine]);
    await expect.poll(() => got).toEqual([fine.id, slow.id]);
  });

  it("gives a durable consumer that was down what it missed", async () => {
    const before = await noting({ consumer: "audit" });
    const [first, missed] = [anEvent({}), anEvent({})];
    await bus.publish(first);
    await expect.poll(before.ids).toEqual([first.id]);
    await before.leave();
    const publishing = bus.publish(missed); // may wait for the consumer
    const after = await noting({ consumer: "audit" }, await subject.connect());
    await publishing;
    await expect.poll(after.ids).toEqual([missed.id]);
    expect(before.ids()).toEqual([first.id]);
  });

  it("runs no more handlers at once than asked for", async () => {
    let running = 0;
    let most = 0;
    const done: string[] = [];
    await bus.consume({ consumer: "audit", topics: [topic], concurrency: 2 }, async ({ id }) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      done.push(id);
    });
    await publishAll(many(10));
    await expect.poll(() => done.length).toBe(10);
    expect(most).toBe(2);
  });

  it("waits for the handlers that run when a consumer leaves, and tells them", async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const finish = Promise.withResolvers<void>();
    const consumer = await bus.consume(
      { consumer: "audit", topics: [topic] },
      async (_, { signal }) => {
        started.resolve(signal);
        await finish.promise;
      },
    );
    const publishing = bus.publish(anEvent({}));
    const signal = await started.promise;
    let left = false;
    const leaving = consumer[Symbol.asyncDispose]().then(() => (left = true));
    await expect.poll(() => signal.aborted).toBe(true);
    expect(left).toBe(false);
    finish.resolve();
    await leaving;
    await publishing;
  });

  it("stops delivering to a consumer that has left", async () => {
    const left = await noting({ consumer: "audit" });
    const here = await noting({ consumer: "audit" }, await subject.connect());
    await left.leave();
    const events = many(10);
    await publishAll(events);
    await expect.poll(here.ids).toEqual(idsOf(events));
    expect(left.got).toEqual([]);
  });

  it("takes the same event twice for one", async () => {
    const audit = await noting({ consumer: "audit" });
    const [event, last] = [anEvent({}), anEvent({})];
    await bus.publish(event);
    await bus.publish(event);
    await bus.publish(last);
    await expect.poll(audit.ids).toEqual(idsOf([event, last]));
  });

  it("shows a broadcast to every process, and only what comes from now on", async () => {
    await noting({ consumer: "audit" }); // so that the first is not lost for want of anyone
    await bus.publish(anEvent({}));
    const seen: [string[], string[]] = [[], []];
    const other = await subject.connect();
    await bus.broadcast([topic], async ({ id }) => void seen[0].push(id));
    const listening = await other.broadcast([topic], async ({ id }) => void seen[1].push(id));
    const event = anEvent({});
    await bus.publish(event);
    await expect.poll(() => seen).toEqual([[event.id], [event.id]]);
    await listening[Symbol.asyncDispose]();
    const later = anEvent({});
    await bus.publish(later);
    await expect.poll(() => seen).toEqual([[event.id, later.id], [event.id]]);
  });

  it("goes on broadcasting after a listener failed", async () => {
    const seen: string[] = [];
    await bus.broadcast([topic], async ({ id, tenantId }) => {
      if (tenantId === "bad") throw new Error("no");
      seen.push(id);
    });
    const fine = anEvent({});
    await bus.publish(anEvent({ tenantId: "bad" }));
    await bus.publish(fine);
    await expect.poll(() => seen).toEqual([fine.id]);
  });

  it("refuses a topic that isn't one", async () => {
    await expect(bus.publish(anEvent({ topic: "a.b.c" }))).rejects.toMatchObject({
      kind: "invalid",
    });
    await expect(noting({ consumer: "x", topics: ["*"] })).rejects.toMatchObject({
      kind: "invalid",
    });
  });

  it("doesn't wait for a publisher's patience longer than its signal says", async () => {
    await expect(bus.publish(anEvent({}), AbortSignal.abort())).rejects.toMatchObject({
      kind: "unavailable",
    });
  });
}

export function anEvent(about: Partial<Event>): Event {
  return {
    id: newId(),
    topic,
    tenantId: "acme",
    payload: new Uint8Array([1, 2, 3]),
    occurredAt: new Date("2026-03-01T12:00:00.123Z"),
    ...about,
  };
}

function many(count: number): readonly Event[] {
  return Array.from({ length: count }, () => anEvent({}));
}
