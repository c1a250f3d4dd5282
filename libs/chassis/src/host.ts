import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { type Clock, systemClock } from "@soldier/kernel/clock";
import type { DestinationStream } from "pino";
import { type Admission, openAdmission } from "./admission.ts";
import { type ChassisSettings, chassisTables } from "./chassis-settings.ts";
import { clientOf } from "./client.ts";
import { clientInterceptors } from "./client-interceptors.ts";
import { runningService } from "./current.ts";
import { type Dispatch, dispatch } from "./dispatch.ts";
import { Health } from "./health.ts";
import { healthRpc } from "./health-rpc.ts";
import { type Logger, openLog } from "./log.ts";
import { type Pressure, watchPressure } from "./loop-lag.ts";
import { measureProcess } from "./metrics.ts";
import { reflectionRpc } from "./reflection.ts";
import {
  type Authenticate,
  openServerInterceptors,
  serverInterceptors,
} from "./server-interceptors.ts";
import type { Call, Door, Service } from "./service.ts";
import { type Document, problemsIn, SettingsError, settingsFor } from "./settings.ts";
import { openTelemetry } from "./telemetry.ts";
import { openTokens, type Tokens } from "./tokens.ts";

export interface RunOptions {
  readonly settings: Document;
  readonly clock?: Clock;
  /** Gets every span: for tests. */
  readonly exporter?: SpanExporter;
  /** Gets the log instead of the destination in the settings: for tests. */
  readonly logTo?: DestinationStream;
}

/** What all services of a process share. */
export interface Host {
  readonly settings: ChassisSettings;
  readonly log: Logger;
  logOf(service: string): Logger;
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly health: Health;
  /** Starts a service as itself; what it opens is closed before what the host has opened so far. */
  start(service: Service, call: Call): Promise<Door>;
  /** Clients for a service's calls, each over the transport that its peer is reached by. */
  callFor(service: string, transportTo: (peer: DescService) => Transport): Call;
  /** A service's handlers for callers that this function tells apart. */
  handlersOf(service: Service, door: Door, authenticate: Authenticate): Dispatch;
  /** Health and reflection, for a server with these services. */
  openHandlers(name: string, services: readonly DescService[]): Dispatch;
}

/**
 * Reads what the chassis needs and checks what the services need, so that every problem in the
 * settings is told at once; then opens log, telemetry and the rest into `opened`.
 */
export function openHost(
  name: string,
  services: readonly Service[],
  options: RunOptions,
  opened: AsyncDisposableStack,
): Host {
  const document = options.settings;
  const tables = services.map((service) => service.settings);
  const problems = problemsIn(document, chassisTables, ...tables);
  if (problems.length > 0) throw new SettingsError(problems);

  const settings = settingsFor({ settings: chassisTables }, document);
  const log = openLog(settings.log, options.logTo);
  const clock = options.clock ?? systemClock;
  const tokens = openTokens(settings.identity, clock);
  const health = new Health();
  opened.use(
    openTelemetry({
      settings: settings.telemetry,
      log: log.child({ service: name }),
      exporter: options.exporter,
    }),
  );
  measureProcess();

  const logOf = (service: string) => log.child({ service });
  const admissions = new Map<string, Admission>();
  const admissionOf = ({ name: service, edge }: Service): Admission => {
    const known = admissions.get(service);
    if (known) return known;
    const { admission } = settings;
    const made = openAdmission({ service, settings: admission, clock, log: logOf(service) });
    opened.use(
      watchPressure(edge ? ({ heapShare }) => made.adapt(idleBut(heapShare)) : made.adapt),
    );
    admissions.set(service, made);
    return made;
  };
  return {
    settings,
    log: logOf(name),
    logOf,
    clock,
    tokens,
    health,

    async start(service, call) {
      const given = {
        settings: settingsFor(service, document),
        call,
        opened: opened.use(new AsyncDisposableStack()),
        log: logOf(service.name),
        clock,
        ready: health.readinessOf(service.name),
        admission: admissionOf(service),
      };
      const door = await runningService(service.name, () => service.start(given));
      for (const { service: desc, forwarded } of door.routes)
        health.serves(desc.typeName, service.name, forwarded);
      return door;
    },

    callFor(service, transportTo) {
      const interceptors = clientInterceptors({
        service,
        calls: settings.calls,
        tokens,
        clock,
      });
      const { deadline_ms: deadlineMs, patience_ms } = settings.calls;
      return (peer, manner) => {
        const patienceMs = manner?.patient ? patience_ms : 0;
        return clientOf(peer, transportTo(peer), { interceptors, deadlineMs, patienceMs });
      };
    },

    handlersOf: (service, door, authenticate) =>
      dispatch(
        door.routes,
        serverInterceptors({
          service: service.name,
          settings: settings.server,
          authenticate,
          admission: admissionOf(service),
          begins: service.begins ?? [],
          log: logOf(service.name),
        }),
      ),

    openHandlers(service, descs) {
      const check = healthRpc(health);
      const routes = [check, reflectionRpc([...descs, check.service])];
      return dispatch(routes, openServerInterceptors({ service }));
    },
  };
}

/**
 * Calls at the edge wait for other services and cost little meanwhile: what keeps the edge busy in a flood
 * is to refuse, and with fewer places it would refuse more.
 */
const idleBut = (heapShare: number): Pressure => ({ lagMs: 0, busyShare: 0, heapShare });
