import { createServer, type ServerResponse } from "node:http";
import type { Health } from "./health.ts";
import { type ListenAt, portTaken } from "./listener.ts";
import { metricsText } from "./metrics.ts";

/**
 * What operators ask of a process, on a port of its own: /healthz while it lives, /readyz with
 * every dependency (503 unless all work), /metrics for Prometheus.
 */
export async function listenAdmin(
  health: Health,
  at: ListenAt,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer((req, res) => {
    answer(req.url ?? "/", health, res).catch((error: unknown) => {
      json(res, 500, { error: error instanceof Error ? error.message : String(error) });
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", (error) => reject(portTaken(at, error)));
    server.listen(at.port, at.host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : at.port);
    });
  });
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(url: string, health: Health, res: ServerResponse): Promise<void> {
  switch (url.replace(/\?.*$/, "")) {
    case "/healthz":
      return json(res, 200, { alive: true });
    case "/readyz": {
      const report = await health.report();
      return json(res, report.ready ? 200 : 503, report);
    }
    case "/metrics": {
      const { type, text } = await metricsText();
      res.writeHead(200, { "content-type": type }).end(text);
      return;
    }
    default:
      return json(res, 404, { error: "there are /healthz, /readyz and /metrics" });
  }
}

function json(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
