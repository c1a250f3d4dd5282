import { setTimeout as pause } from "node:timers/promises";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import { listenAdmin } from "./admin.ts";
import { keyOf } from "./chassis-settings.ts";
import { type Handle, servicesOf } from "./dispatch.ts";
import { listenEdge } from "./edge.ts";
import { listenGrpc } from "./grpc-server.ts";
import { type Host, openHost, type RunOptions } from "./host.ts";
import { inProcess } from "./in-process.ts";
import type { ListenAt, Listener } from "./listener.ts";
import { nothingHere, observedHttp } from "./plain-http.ts";
import { Peers } from "./peers.ts";
import type { Call, Door, Service } from "./service.ts";
import { SettingsError } from "./settings.ts";

/** Services that take calls; disposing of them lets the calls in flight finish. */
export interface Running extends AsyncDisposable {
  /** Calls into the mesh from outside any service: say for whom by actingAs(). */
  readonly call: Call;
  /** Where the service is: http://host:port. Of services together, where the edge is, if any. */
  readonly url: string | undefined;
  /** Where /healthz, /readyz and /metrics are. */
  readonly adminUrl: string;
}

/** One service in this process, its peers at their addresses. */
export async function runAlone(service: Service, options: RunOptions): Promise<Running> {
  await using opened = new AsyncDisposableStack(); // closes what was opened if starting fails
  const host = openHost(service.name, [service], options, opened);
  const admin = opened.use(await openAdmin(host, service.name));
  const peers = opened.use(new Peers(host.settings));
  const call = host.callFor(service.name, (peer) => peers.transportTo(peer));
  const door = await host.start(service, call);
  const listener = opened.use(draining(host, await listen(host, service, door)));
  const own = owned(door);
  peers.isHere(
    own,
    service.edge ? ownHandlers(host, service, own) : addressOf(host, listener.port),
  );
  host.health.started();

  const url = urlOf(host, listener.port);
  const adminUrl = urlOf(host, admin.port);
  host.log.info({ url, admin_url: adminUrl }, "listening");
  const running = opened.move();
  return { call, url, adminUrl, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Every service in this process, no sockets between them; those at the edge listen. */
export async function runTogether(
  services: readonly Service[],
  options: RunOptions,
): Promise<Running> {
  await using opened = new AsyncDisposableStack();
  const host = openHost("together", services, options, opened);
  const admin = opened.use(await openAdmin(host, "together"));
  const handlers = new Map<DescMethod, Handle>();
  const transport = inProcess(() => handlers, host.settings.server.max_message_bytes);
  const doors: [Service, Door][] = [];
  for (const service of services) {
    const door = await host.start(
      service,
      host.callFor(service.name, () => transport),
    );
    doors.push([service, door]);
    const own = host.handlersOf(service, owned(door), host.tokens.identityFrom);
    for (const [method, handle] of own) handlers.set(method, handle);
  }
  // Nothing is let in before everything is there.
  const edges: Listener[] = [];
  for (const [service, door] of doors)
    if (service.edge) edges.push(opened.use(draining(host, await listen(host, service, door))));
  host.health.started();

  const url = edges[0] && urlOf(host, edges[0].port);
  const adminUrl = urlOf(host, admin.port);
  host.log.info({ url, admin_url: adminUrl }, "listening");
  const running = opened.move();
  return {
    call: host.callFor("outside", () => transport),
    url,
    adminUrl,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function listen(host: Host, service: Service, door: Door): Promise<Listener> {
  const { server } = host.settings;
  const at = listenAt(host, "ports", keyOf(service.name));
  if (!service.edge) {
    const handlers = host.handlersOf(service, door, host.tokens.identityFrom);
    const open = host.openHandlers(service.name, servicesOf(handlers));
    return listenGrpc(new Map([...handlers, ...open]), server, at);
  }
  if (!door.authenticate)
    throw new Fault("internal", `${service.name} is at the edge but cannot tell who calls`);
  const handlers = host.handlersOf(service, door, door.authenticate);
  const open = host.openHandlers(service.name, servicesOf(handlers));
  const log = host.logOf(service.name);
  return listenEdge({
    handlers: new Map([...handlers, ...open]),
    http: observedHttp(service.name, log, door.http ?? nothingHere),
    settings: server,
    at,
    log,
  });
}

/** The door without what it only hands on: for the mesh, which calls the owner itself. */
function owned(door: Door): Door {
  return { ...door, routes: door.routes.filter((route) => !route.forwarded) };
}

/** When disposed of: says that we leave, waits until balancers know, then drains. */
function draining(host: Host, listener: Listener): Listener & AsyncDisposable {
  const { drain_delay_ms: delayMs, drain_timeout_ms: timeoutMs } = host.settings.server;
  return {
    ...listener,
    async [Symbol.asyncDispose]() {
      host.health.leaving();
      host.log.info({ drain_delay_ms: delayMs, drain_timeout_ms: timeoutMs }, "leaving");
      if (delayMs > 0) await pause(delayMs);
      await listener.drain(timeoutMs);
    },
  };
}

function openAdmin(host: Host, name: string) {
  return listenAdmin(host.health, listenAt(host, "admin_ports", keyOf(name)));
}

function listenAt(host: Host, table: "ports" | "admin_ports", key: string): ListenAt {
  const setting = `server.${table}.${key}`;
  const port = host.settings.server[table][key];
  if (port === undefined) throw new SettingsError([`${setting}: is missing; it must be set`]);
  return { host: host.settings.server.host, port, setting };
}

function urlOf(host: Host, port: number): string {
  return `http://${addressOf(host, port)}`;
}

function addressOf(host: Host, port: number): string {
  const name = host.settings.server.host;
  return `${name === "0.0.0.0" || name === "::" ? "127.0.0.1" : name}:${port}`;
}

/** What is at the edge takes the world's tokens; its calls to itself carry ours. */
function ownHandlers(host: Host, service: Service, door: Door): Transport {
  const handlers = host.handlersOf(service, door, host.tokens.identityFrom);
  return inProcess(() => handlers, host.settings.server.max_message_bytes);
}
