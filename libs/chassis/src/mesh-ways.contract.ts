import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { systemClock } from "@soldier/kernel/clock";
import { chassisTables } from "./chassis-settings.ts";
import { clientOf } from "./client.ts";
import { clientInterceptors } from "./client-interceptors.ts";
import { echoService, type Noticed } from "./echo.contract.ts";
import type { RunOptions } from "./host.ts";
import type { Identity } from "./identity.ts";
import { runAlone, runTogether } from "./run.ts";
import type { Call } from "./service.ts";
import { settingsFor } from "./settings.ts";
import { callAs, recordedLog, testSettings } from "./testing.ts";
import type { Tokens } from "./tokens.ts";

const settings = testSettings({ log: { level: "debug" }, server: { max_deadline_ms: 60_000 } }, [
  "echo",
]);
/** The settings that every way runs with. */
export const chassis = settingsFor({ settings: chassisTables }, settings);

/** A way to run the sample service, and to see what it does. */
interface Way {
  readonly call: Call;
  readonly as: (identity: Identity) => Call;
  readonly noticed: Noticed;
  readonly spans: InMemorySpanExporter;
  readonly log: ReturnType<typeof recordedLog>;
  readonly edge: boolean;
}

export type Opened = Way & AsyncDisposable;

function optionsOf() {
  const spans = new InMemorySpanExporter();
  const log = recordedLog();
  const noticed: Noticed = { cancelled: [], left: [] };
  const run: RunOptions = { settings, exporter: spans, logTo: log.destination };
  return { spans, log, noticed, run };
}

async function together(): Promise<Opened> {
  const { run, ...rest } = optionsOf();
  const running = await runTogether([echoService(rest.noticed)], run);
  const as = (identity: Identity) => callAs(running.call, identity);
  return { ...running, ...rest, as, edge: false };
}

async function alone(): Promise<Opened> {
  const { run, ...rest } = optionsOf();
  const running = await runAlone(echoService(rest.noticed), run);
  const as = (identity: Identity) => callAs(running.call, identity);
  return { ...running, ...rest, as, edge: false };
}

/** Callers of the edge have no part in the mesh: their tokens are their own. */
function atEdge(transportTo: (url: string) => ReturnType<typeof createGrpcTransport>) {
  return async (): Promise<Opened> => {
    const { run, ...rest } = optionsOf();
    const running = await runAlone(echoService(rest.noticed, { edge: true }), run);
    const callWith = (tokens: Tokens): Call => {
      const interceptors = clientInterceptors({
        service: "outside",
        calls: chassis.calls,
        tokens,
        clock: systemClock,
      });
      const deadlineMs = chassis.calls.deadline_ms;
      return (peer) => clientOf(peer, transportTo(running.url ?? ""), { interceptors, deadlineMs });
    };
    const call = callWith({
      authorizationFor: ({ tenantId, roles }) => `test ${tenantId} ${roles.join(",")}`,
      identityFrom: () => {
        throw new Error("callers do not check tokens");
      },
    });
    const as = (identity: Identity) => callAs(call, identity);
    return {
      ...rest,
      call,
      as,
      edge: true,
      [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
    };
  };
}

/** Clients hold the limit, too: a server that reads no further hangs up, which tells nobody why. */
const writeMaxBytes = chassis.server.max_message_bytes;

/** Every way in which services can be run and called. */
export const ways: Readonly<Record<string, () => Promise<Opened>>> = {
  together,
  "alone, over gRPC": alone,
  "at the edge, over Connect": atEdge((baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", writeMaxBytes }),
  ),
  "at the edge, over gRPC": atEdge((baseUrl) => createGrpcTransport({ baseUrl, writeMaxBytes })),
  "at the edge, over gRPC-Web": atEdge((baseUrl) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "2", writeMaxBytes }),
  ),
};
