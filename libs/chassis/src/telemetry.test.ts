import { once } from "node:events";
import { createServer } from "node:http";
import { trace } from "@opentelemetry/api";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { describe, expect, it } from "vitest";
import { detached } from "./current.ts";
import { currentCall, runningService } from "./current.ts";
import { echoService } from "./echo.contract.ts";
import { actingAs } from "./identity.ts";
import { runTogether } from "./run.ts";
import { callAs, recordedLog, runForTest, testIdentity, testSettings } from "./testing.ts";
import { continuing, currentTraceId, span, traceparent } from "./tracing.ts";

const echo = () => echoService({ cancelled: [], left: [] });

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { key: string; value: { stringValue?: string } }[];
    };
    readonly scopeSpans: readonly {
      readonly spans: readonly { name: string; traceId: string }[];
    }[];
  }[];
}

/** Takes traces as a collector does. */
async function collector() {
  const sent: Sent[] = [];
  const server = createServer((req, res) => {
    let body = "";
    req.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    req.on("end", () => {
      sent.push(JSON.parse(body) as Sent); // the exporter's own
      res.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/v1/traces`,
    sent,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("traces", () => {
  it("are sent by OTLP, the rest of them when the process ends, under the service's name", async () => {
    await using otlp = await collector();
    const settings = testSettings({ telemetry: { otlp_url: otlp.url } }, ["echo"]);
    const running = await runTogether([echo()], { settings, logTo: recordedLog().destination });
    const { traceId } = await callAs(
      running.call,
      testIdentity(),
    )(EchoService).echo({ text: "relay:x" });
    await running[Symbol.asyncDispose]();
    const spans = otlp.sent.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ resource, scopeSpans }) =>
        scopeSpans.flatMap((scope) =>
          scope.spans.map((one) => ({
            ...one,
            service: resource.attributes.find(({ key }) => key === "service.name")?.value
              .stringValue,
          })),
        ),
      ),
    );
    expect(spans.map((one) => one.traceId)).toEqual([traceId, traceId, traceId, traceId]);
    expect(spans.filter((one) => one.service === "echo")).toHaveLength(3);
  });

  it("that cannot be sent are told of in the log, and nothing else happens", async () => {
    const gone = await collector();
    await gone[Symbol.asyncDispose]();
    const log = recordedLog();
    const settings = testSettings({ telemetry: { otlp_url: gone.url } }, ["echo"]);
    const running = await runTogether([echo()], { settings, logTo: log.destination });
    await callAs(running.call, testIdentity())(EchoService).echo({ text: "x" });
    await running[Symbol.asyncDispose]();
    const told = log.lines().filter((line) => line["level"] === "warn");
    expect(JSON.stringify(told)).toMatch(/telemetry|traces were lost/);
  });

  it("are recorded by their share, and have ids all the same", async () => {
    await using otlp = await collector();
    const settings = testSettings({ telemetry: { otlp_url: otlp.url, sample_ratio: 0 } }, ["echo"]);
    const running = await runTogether([echo()], { settings, logTo: recordedLog().destination });
    const { traceId } = await callAs(running.call, testIdentity())(EchoService).echo({ text: "x" });
    await running[Symbol.asyncDispose]();
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(otlp.sent).toEqual([]);
  });

  it("exist without anyone recording them", async () => {
    const traceId = await span("outer", {}, async (outer) => {
      expect(outer.isRecording()).toBe(false);
      const here = currentTraceId();
      await span("inner", {}, async () => expect(currentTraceId()).toBe(here));
      return here;
    });
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("an event's handler", () => {
  it("continues the trace of the event, under the service that takes it", async () => {
    await using mesh = await runForTest([echo()]);
    const { header, traceId } = await span("publish", {}, async () => ({
      header: traceparent(),
      traceId: currentTraceId(),
    }));
    await runningService("consumer", () =>
      continuing(header, "consume", async () => {
        expect(currentTraceId()).toBe(traceId);
      }),
    );
    const consumed = mesh.spans().find(({ name }) => name === "consume");
    expect(consumed?.resource.attributes["service.name"]).toBe("consumer");
    const published = mesh.spans().find(({ name }) => name === "publish");
    expect(consumed?.parentSpanContext?.spanId).toBe(published?.spanContext().spanId);
  });

  it("has neither the identity nor the deadline of whoever published", async () => {
    await actingAs(testIdentity(), () =>
      continuing(undefined, "consume", async () => expect(currentCall()).toEqual({})),
    );
  });

  it("marks its span when it fails, with the reason and not the words", async () => {
    await using mesh = await runForTest([echo()]);
    const failing = continuing(undefined, "consume", async () => {
      throw new Error("what the customer said");
    });
    await expect(failing).rejects.toThrow("what the customer said");
    const failed = mesh.spans().find(({ name }) => name === "consume");
    expect(failed?.status).toEqual({ code: 2, message: "INTERNAL" });
  });
});

describe("work that goes on after the answer", () => {
  it("keeps identity and trace but not the end of the call", async () => {
    const identity = testIdentity();
    await span("call", {}, () =>
      actingAs(identity, async () => {
        const here = currentTraceId();
        detached(() => {
          expect(currentCall()).toEqual({ identity });
          expect(currentTraceId()).toBe(here);
        });
      }),
    );
  });
});

describe("libraries that know only OpenTelemetry", () => {
  it("get spans of the service that uses them, inside its own", async () => {
    await using mesh = await runForTest([echo()]);
    await runningService("shop", () =>
      span("outer", {}, async () =>
        trace.getTracer("a library").startActiveSpan("query", (query) => query.end()),
      ),
    );
    const [query, outer] = mesh.spans();
    expect(query?.name).toBe("query");
    expect(query?.resource.attributes["service.name"]).toBe("shop");
    expect(query?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId);
  });
});
