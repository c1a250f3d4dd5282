import { createServer } from "node:http";
import { z } from "zod";

/** A span as a test looks at it. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly service: string;
  readonly name: string;
}

export interface Collector extends AsyncDisposable {
  /** For [telemetry] otlp_url. */
  readonly url: string;
  /** The spans of one trace that have arrived so far. */
  spansOf(traceId: string): readonly CollectedSpan[];
}

const attribute = z.object({
  key: z.string(),
  value: z.object({ stringValue: z.string().optional() }),
});
const exported = z.object({
  resourceSpans: z.array(
    z.object({
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.string().default(""),
              name: z.string(),
              attributes: z.array(attribute).default([]),
            }),
          ),
        }),
      ),
    }),
  ),
});

/** Takes what services export by OTLP over HTTP in JSON. */
export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const server = createServer((req, res) => {
    let text = "";
    req.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    req.on("end", () => {
      const batch = exported.parse(JSON.parse(text));
      for (const { scopeSpans } of batch.resourceSpans)
        for (const { spans: some } of scopeSpans)
          for (const { attributes, parentSpanId, ...span } of some) {
            const service = attributes.find(({ key }) => key === "soldier.service");
            spans.push({
              ...span,
              parentId: parentSpanId,
              service: service?.value.stringValue ?? "",
            });
          }
      res.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on TCP");
  return {
    url: `http://127.0.0.1:${address.port}/v1/traces`,
    spansOf: (traceId) => spans.filter((span) => span.traceId === traceId),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
