import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Client, ServiceImpl } from "@connectrpc/connect";
import type { Clock } from "@soldier/kernel/clock";
import type { z } from "zod";
import type { Admission } from "./admission.ts";
import type { Identity } from "./identity.ts";
import type { Logger } from "./log.ts";
import type { Readiness } from "./readiness.ts";

/**
 * The TOML tables that a service reads, each with its schema: its own ("session") and shared ones
 * ("postgres", "nats"). Keys are snake_case in TOML and in code.
 */
export type Tables = Readonly<Record<string, z.ZodType>>;

export type SettingsOf<T extends Tables> = { readonly [K in keyof T]: z.output<T[K]> };

/** The handlers of one RPC service; made by route(), which checks them against the contract. */
export interface Route {
  readonly service: DescService;
  readonly implementation: object;
  /**
   * Set when the handlers hand each call on to the service that owns it: calls of the mesh itself
   * go to the owner.
   */
  readonly forwarded?: true;
}

/** Answers the plain HTTP requests of the edge that are no RPC: REST routes, the console. */
export type HttpHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** What a started service offers. */
export interface Door {
  readonly routes: readonly Route[];
  /** Edge only: every request that no route takes. */
  readonly http?: HttpHandler;
  /**
   * Edge only: who a request from outside is. Throws an "unauthenticated" fault. Everywhere else
   * the internal token says who calls.
   */
  readonly authenticate?: (headers: Headers) => Promise<Identity>;
}

/**
 * A client of another service, wherever it runs. Calls fail with a Fault, carry the current
 * identity and trace, and end by the current call's deadline or after the default one.
 */
export type Call = <S extends DescService>(service: S, manner?: Manner) => Client<S>;

export interface Manner {
  /**
   * Set when nothing can be done without the peer: its calls wait `patience_ms` of [calls] for a
   * replica that takes them, instead of failing at once while one starts again.
   */
  readonly patient?: boolean;
}

/** What a service is given to start with. */
export interface Given<T extends Tables> {
  readonly settings: SettingsOf<T>;
  readonly call: Call;
  /** What the service opens goes here; it is closed in reverse order at shutdown. */
  readonly opened: AsyncDisposableStack;
  readonly log: Logger;
  readonly clock: Clock;
  /** Dependencies that this service cannot do without register a check here. */
  readonly ready: Readiness;
  /** Already around every RPC of the service; what it serves by plain HTTP goes through it, too. */
  readonly admission: Admission;
}

/** One service of the mesh, not yet running anywhere. */
export interface Service<T extends Tables = Tables> {
  /** kebab-case: its host name, its label in logs, metrics and traces. */
  readonly name: string;
  readonly settings: T;
  /** Set when it serves the outside world by connect-node instead of the mesh by gRPC. */
  readonly edge?: true;
  /**
   * Methods of the mesh's own that begin work, and so wait for a place as those do for which the contract
   * names a role. The others go on with work that was begun elsewhere, and don't wait.
   */
  readonly begins?: readonly DescMethod[];
  /**
   * Opens what the service needs and returns its handlers. It may keep a client but not wait for
   * a call on it: the peer may not be up yet.
   */
  start(given: Given<T>): Promise<Door>;
}

/** Keeps the settings' types, inferred from the schemas, at the place of definition. */
export function service<T extends Tables>(definition: Service<T>): Service<T> {
  return definition;
}

/**
 * Binds handlers to the service of the contract that they implement. A method without a handler
 * is answered with an "unimplemented" fault.
 */
export function route<S extends DescService>(
  desc: S,
  implementation: Partial<ServiceImpl<S>>,
): Route {
  return { service: desc, implementation };
}
