import { Fault } from "@soldier/kernel/fault";
import { variableOf } from "./settings-environment.ts";

export interface ListenAt {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** The setting that the port comes from, for whoever has to change it. */
  readonly setting: string;
}

/** A server that takes calls. */
export interface Listener {
  readonly port: number;
  /** Takes no more calls, lets those in flight finish for so long, then cuts them. */
  drain(timeoutMs: number): Promise<void>;
}

/** What to tell when a server can't listen. */
export function portTaken(at: ListenAt, cause: Error): Fault {
  const where = `${at.host}:${at.port}`;
  const change = `set another with ${at.setting} (${variableOf(at.setting)})`;
  const message = cause.message.includes("EADDRINUSE")
    ? `port ${at.port} is already in use: stop what listens on ${where} or ${change}`
    : `cannot listen on ${where} (${cause.message}): ${change}`;
  return new Fault("precondition", message, { reason: "PORT_IN_USE", cause });
}
