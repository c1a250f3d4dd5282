import { create } from "@bufbuild/protobuf";
import { Fault, type FaultKind } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { EchoRequestSchema, EchoService } from "@soldier/proto/testing/v1/echo";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { actingAs } from "./identity.ts";
import { chassis, type Opened, ways } from "./mesh-ways.contract.ts";
import { testIdentity } from "./testing.ts";
import { currentTraceId, span } from "./tracing.ts";

/** A caller must not be able to tell how the mesh is run. */
describe.each(Object.entries(ways))("services run %s", (_, open) => {
  let way: Opened;
  beforeAll(async () => {
    way = await open();
  });
  afterAll(() => way[Symbol.asyncDispose]());

  const identity = testIdentity();
  const echo = () => way.as(identity)(EchoService);

  async function failure(call: Promise<unknown>): Promise<Fault> {
    const error = await call.then(
      () => expect.fail("the call should have failed"),
      (reason: unknown) => reason,
    );
    if (!(error instanceof Fault)) throw error;
    return error;
  }

  async function collected<T>(messages: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const message of messages) all.push(message);
    return all;
  }

  describe("calls", () => {
    it("answer once", async () => {
      expect((await echo().echo({ text: "hello" })).text).toBe("hello");
    });

    it("give bytes as an array whose slice is a copy", async () => {
      const payload = Uint8Array.of(1, 2, 3);
      const { payload: returned } = await echo().echo({ text: "bytes", payload });
      expect(new Uint8Array(returned.slice().buffer)).toEqual(payload);
    });

    it("answer with a stream", async () => {
      const numbers = await collected(echo().count({ count: 1_000 }));
      expect(numbers.map(({ number }) => number)).toEqual(
        Array.from({ length: 1_000 }, (__, i) => i),
      );
    });

    it("answer with an empty stream", async () => {
      expect(await collected(echo().count({ count: 0 }))).toEqual([]);
    });

    it("converse, each message answered before the next is sent", async () => {
      const heard: string[] = [];
      let answered = Promise.withResolvers<void>();
      async function* speak() {
        for (const text of ["one", "two", "three"]) {
          answered = Promise.withResolvers<void>();
          yield { text };
          await answered.promise;
        }
      }
      for await (const { text } of echo().converse(speak())) {
        heard.push(text);
        answered.resolve();
      }
      expect(heard).toEqual(["one", "two", "three"]);
    });

    it("end a conversation when the other side does, though we have more to say", async () => {
      async function* speak() {
        yield { text: "hello" };
        yield { text: "bye" };
        await new Promise(() => {});
      }
      expect(await collected(echo().converse(speak()))).toHaveLength(1);
    });

    it("carry headers both ways", async () => {
      const heard: Record<string, string | null> = {};
      await echo().echo(
        { text: "headers" },
        {
          headers: { "x-question": "why" },
          onHeader: (header) => (heard["header"] = header.get("x-answer")),
          onTrailer: (trailer) => (heard["trailer"] = trailer.get("x-after")),
        },
      );
      expect(heard).toEqual({ header: "why", trailer: "all" });
    });

    it("carry the headers of a stream before its messages", async () => {
      let header: string | null = null;
      for await (const __ of echo().count(
        { count: 1 },
        { onHeader: (h) => (header = h.get("x-count")) },
      ))
        expect(header).toBe("1");
    });

    it("let timers run between them", async () => {
      const fired = { timer: false };
      setTimeout(() => (fired.timer = true), 5);
      const until = performance.now() + 2_000;
      while (!fired.timer && performance.now() < until) await echo().echo({ text: "busy" });
      expect(fired.timer).toBe(true);
    });

    it("take a stream only as fast as it is read", async () => {
      const name = newId();
      for await (const { number } of echo().count(
        { count: 1_000_000 },
        { headers: { "x-name": name } },
      ))
        if (number === 10) break;
      await expect.poll(() => way.noticed.left).toContain(name);
    });
  });

  describe("failures", () => {
    const kinds: readonly FaultKind[] = [
      "invalid",
      "unauthenticated",
      "forbidden",
      "not-found",
      "already-exists",
      "conflict",
      "precondition",
      "exhausted",
      "deadline",
      "cancelled",
      "unimplemented",
      "internal",
    ];

    it.each(kinds)("come as the fault %s", async (kind) => {
      expect((await failure(echo().echo({ text: `fail:${kind}` }))).kind).toBe(kind);
    });

    it("come with their reason, fields and facts", async () => {
      const fault = await failure(echo().echo({ text: "fail:invalid" }));
      expect(fault).toMatchObject({
        message: "not so",
        reason: "BAD_TEXT",
        fields: [{ field: "text", description: "must be nicer" }],
        metadata: { hint: "smile" },
      });
    });

    it("say when to try again", async () => {
      const fault = await failure(echo().echo({ text: "fail:exhausted" }));
      expect([fault.reason, fault.retryAfterMs]).toEqual(["RATE_LIMITED", 1_500]);
    });

    it("come after part of a stream", async () => {
      const seen: number[] = [];
      const fault = await failure(
        (async () => {
          for await (const { number } of echo().count({ count: 5, failAfter: 3 }))
            seen.push(number);
        })(),
      );
      expect([seen, fault.kind, fault.reason]).toEqual([[0, 1, 2], "conflict", "MOVED_ON"]);
    });

    it("come in the middle of a conversation", async () => {
      async function* speak() {
        yield { text: "hello" };
        yield { text: "fail" };
      }
      expect((await failure(collected(echo().converse(speak())))).kind).toBe("not-found");
    });

    it("come through a service that passes them on", async () => {
      const fault = await failure(echo().echo({ text: "relay:fail:exhausted" }));
      expect([fault.kind, fault.reason]).toEqual(["exhausted", "RATE_LIMITED"]);
    });

    it("hide what a bug says, and log it once with its trace", async () => {
      const fault = await failure(echo().echo({ text: "crash" }));
      expect([fault.kind, fault.reason]).toEqual(["internal", "INTERNAL"]);
      expect(JSON.stringify(fault) + fault.message).not.toContain("swordfish");
      const told = way.log.lines().filter((line) => JSON.stringify(line).includes("swordfish"));
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({
        level: "error",
        service: "echo",
        tenant: identity.tenantId,
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      });
    });

    it("name the field that breaks a rule", async () => {
      const fault = await failure(echo().echo({ text: "x".repeat(65_537) }));
      expect([fault.kind, fault.reason]).toEqual(["invalid", "VALIDATION_FAILED"]);
      expect(fault.fields.map(({ field }) => field)).toEqual(["text"]);
    });

    it("name the field of a stream's request", async () => {
      const fault = await failure(collected(echo().count({ count: -1 })));
      expect(fault.fields.map(({ field }) => field)).toEqual(["count"]);
    });

    it("refuse a request over the size limit", async () => {
      const text = "x".repeat(chassis.server.max_message_bytes + 1);
      const fault = await failure(echo().echo({ text }));
      expect([fault.kind, fault.reason]).toEqual(["exhausted", "MESSAGE_TOO_LARGE"]);
    });

    it("refuse an answer over the size limit", async () => {
      const text = `long:${chassis.server.max_message_bytes + 1}`;
      const fault = await failure(echo().echo({ text }));
      expect([fault.kind, fault.reason]).toEqual(["exhausted", "MESSAGE_TOO_LARGE"]);
    });
  });

  describe("deadlines", () => {
    it("are told to the handler", async () => {
      const { remainingMs } = await echo().echo({ text: "hello" }, { timeoutMs: 2_000 });
      expect(Number(remainingMs)).toBeGreaterThan(1_000);
      expect(Number(remainingMs)).toBeLessThanOrEqual(2_000);
    });

    it("are ten seconds when none is stated", async () => {
      const { remainingMs } = await echo().echo({ text: "hello" });
      expect(Number(remainingMs)).toBeGreaterThan(8_000);
      expect(Number(remainingMs)).toBeLessThanOrEqual(10_000);
    });

    it("are no longer than the server's maximum", async () => {
      const { remainingMs } = await echo().echo({ text: "hello" }, { timeoutMs: 600_000 });
      expect(Number(remainingMs)).toBeLessThanOrEqual(60_000);
    });

    it("are kept, and end the handler's work", async () => {
      const text = `slow ${newId()}`;
      const fault = await failure(echo().echo({ text }, { timeoutMs: 60 }));
      expect(fault.kind).toBe("deadline");
      await expect.poll(() => way.noticed.cancelled).toContain(text);
    });

    it("are kept although the handler doesn't listen", async () => {
      const startedMs = performance.now();
      const fault = await failure(echo().echo({ text: "deaf" }, { timeoutMs: 60 }));
      expect(fault.kind).toBe("deadline");
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    });

    it("get shorter from hop to hop", async () => {
      const text = "relay:relay:hello";
      const { remainingMs } = await echo().echo({ text }, { timeoutMs: 2_000 });
      expect(Number(remainingMs)).toBeGreaterThan(0);
      expect(Number(remainingMs)).toBeLessThanOrEqual(2_000);
    });

    it("end the work of every hop", async () => {
      const text = `slow ${newId()}`;
      const fault = await failure(echo().echo({ text: `relay:${text}` }, { timeoutMs: 100 }));
      expect(fault.kind).toBe("deadline");
      await expect.poll(() => way.noticed.cancelled).toContain(text);
    });
  });

  describe("cancelling", () => {
    it("ends the call and the handler's work, through every hop", async () => {
      const text = `slow ${newId()}`;
      const leaving = new AbortController();
      const call = failure(echo().echo({ text: `relay:${text}` }, { signal: leaving.signal }));
      setTimeout(() => leaving.abort(), 100);
      expect((await call).kind).toBe("cancelled");
      await expect.poll(() => way.noticed.cancelled).toContain(text);
    });

    it("before the call keeps it from being made", async () => {
      const call = echo().echo({ text: "hello" }, { signal: AbortSignal.abort() });
      expect((await failure(call)).kind).toBe("cancelled");
    });

    it("ends a stream, for us and for the handler", async () => {
      const name = newId();
      const leaving = new AbortController();
      const options = { signal: leaving.signal, headers: { "x-name": name } };
      const fault = await failure(
        (async () => {
          for await (const { number } of echo().count({ count: 1_000_000 }, options))
            if (number === 5) leaving.abort();
        })(),
      );
      expect(fault.kind).toBe("cancelled");
      await expect.poll(() => way.noticed.left).toContain(name);
    });
  });

  describe("identity", () => {
    it("reaches the handler as the caller's tenant", async () => {
      const other = testIdentity();
      const { tenantId } = await way.as(other)(EchoService).echo({ text: "hello" });
      expect(tenantId).toBe(other.tenantId);
    });

    it("goes along to the next hop", async () => {
      expect((await echo().echo({ text: "relay:relay:hello" })).tenantId).toBe(identity.tenantId);
    });

    it("stays apart when calls overlap", async () => {
      const others = Array.from({ length: 20 }, () => testIdentity());
      const answers = await Promise.all(
        others.map((other) => way.as(other)(EchoService).echo({ text: "relay:hello" })),
      );
      expect(answers.map(({ tenantId }) => tenantId)).toEqual(
        others.map(({ tenantId }) => tenantId),
      );
    });

    it("belongs to whoever made a stream, not to whoever reads it", async () => {
      const stream = echo().count({ count: 1 });
      expect(await actingAs(testIdentity({ roles: [] }), () => collected(stream))).toHaveLength(1);
    });

    it("must be given", async () => {
      const fault = await failure(way.call(EchoService).echo({ text: "hello" }));
      expect([fault.kind, fault.reason]).toEqual(["unauthenticated", "TOKEN_MISSING"]);
    });

    it("must be given for streams too", async () => {
      const fault = await failure(collected(way.call(EchoService).count({ count: 1 })));
      expect([fault.kind, fault.reason]).toEqual(["unauthenticated", "TOKEN_MISSING"]);
    });

    it("cannot be forged", async () => {
      const foreign = await token({ secret: "another secret of thirty-two characters" });
      const fault = await failure(way.call(EchoService).echo({ text: "hello" }, foreign));
      expect([fault.kind, fault.reason]).toEqual(["unauthenticated", "TOKEN_INVALID"]);
    });

    it("lasts for a minute, and for as long as clocks may differ", async ({ skip }) => {
      skip(way.edge, "the edge's tokens are the gateway's business");
      const late = await token({ expires: "2 minutes ago" });
      await way.call(EchoService).echo({ text: "hello" }, late);
      const old = await token({ expires: "2 hours ago" });
      const fault = await failure(way.call(EchoService).echo({ text: "hello" }, old));
      expect([fault.kind, fault.reason]).toEqual(["unauthenticated", "TOKEN_EXPIRED"]);
    });

    it("is meant for the mesh", async ({ skip }) => {
      skip(way.edge, "the edge's tokens are the gateway's business");
      const other = await token({ audience: "elsewhere" });
      const fault = await failure(way.call(EchoService).echo({ text: "hello" }, other));
      expect([fault.kind, fault.reason]).toEqual(["unauthenticated", "TOKEN_AUDIENCE"]);
    });

    it("needs the role that the contract names", async () => {
      const chat = way.as(testIdentity({ roles: ["chat"] }))(EchoService);
      const fault = await failure(chat.guarded({}));
      expect([fault.kind, fault.reason]).toEqual(["forbidden", "ROLE_MISSING"]);
      const operator = way.as(testIdentity({ roles: ["operator"] }))(EchoService);
      expect(await operator.guarded({})).toBeDefined();
    });
  });

  describe("tracing", () => {
    it("keeps one trace across the hops, each span under its caller's", async () => {
      way.spans.reset();
      const traceId = await span("a test", {}, async () => {
        const answer = await echo().echo({ text: "relay:hello" });
        expect(answer.traceId).toBe(currentTraceId());
        return answer.traceId;
      });
      // client and server, twice, and the test's own
      await expect.poll(() => way.spans.getFinishedSpans()).toHaveLength(5);
      const spans = way.spans.getFinishedSpans();
      expect(new Set(spans.map((one) => one.spanContext().traceId))).toEqual(new Set([traceId]));
      const ids = new Set(spans.map((one) => one.spanContext().spanId));
      const roots = spans.filter(
        ({ parentSpanContext }) => !ids.has(parentSpanContext?.spanId ?? ""),
      );
      expect(roots.map(({ name }) => name)).toEqual(["a test"]);
      const served = spans.filter(
        ({ attributes }) => attributes["soldier.tenant"] === identity.tenantId,
      );
      expect(served.map(({ resource }) => resource.attributes["service.name"])).toEqual([
        "echo",
        "echo",
      ]);
    });

    it("gives every call a trace of its own when there is none yet", async () => {
      const first = await echo().echo({ text: "hello" });
      const second = await echo().echo({ text: "hello" });
      expect(first.traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(second.traceId).not.toBe(first.traceId);
    });

    it("writes the trace into each line of the log", async () => {
      const { traceId } = await echo().echo({ text: "hello" });
      const of = () => way.log.lines().filter((line) => line["trace_id"] === traceId);
      await expect.poll(of).toHaveLength(1);
      expect(of()[0]).toMatchObject({
        level: "debug",
        msg: "answered",
        rpc: "soldier.testing.v1.EchoService/Echo",
        code: "OK",
        tenant: identity.tenantId,
      });
    });
  });

  it("leave a message as its sender made it", async () => {
    const message = create(EchoRequestSchema, { text: "hello" });
    await echo().echo(message);
    expect(message).toEqual(create(EchoRequestSchema, { text: "hello" }));
  });
});

async function token(wrong: {
  secret?: string;
  expires?: string;
  audience?: string;
}): Promise<{ headers: { authorization: string } }> {
  const signed = await new SignJWT({ tenant: newId(), roles: ["chat"] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("someone")
    .setAudience(wrong.audience ?? "soldier-mesh")
    .setExpirationTime(wrong.expires ?? "1 minute")
    .sign(new TextEncoder().encode(wrong.secret ?? chassis.identity.secret));
  return { headers: { authorization: `Bearer ${signed}` } };
}
