import {
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  type Message,
} from "@bufbuild/protobuf";
import type { CallOptions, HandlerContext } from "@connectrpc/connect";
import { lasts } from "@soldier/chassis/lasting";
import { type Call, type Route, route } from "@soldier/chassis/service";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { role } from "@soldier/proto/common/v1/access";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { SessionService } from "@soldier/proto/session/v1/session_service";

/** The services of the mesh whose public methods callers outside may use. */
export const forwardedServices: readonly DescService[] = [
  AlignmentService,
  AuditService,
  ConfigService,
  MemoryService,
  ProfileService,
  SessionService,
];

/**
 * Whether callers outside may use a method: those for which the contract names the role that it
 * takes. The others are the mesh's own, and any identity would do for them.
 */
export function isPublic(method: DescMethod): boolean {
  return hasOption(method, role) && getOption(method, role) !== "";
}

/** Hands each call of a public method on to the service itself, which decides on it. */
export function forwarded(service: DescService, call: Call, deadlineMs: number): Route {
  const peer = call(service) as unknown as Readonly<Record<string, Send>>;
  const methods = service.methods.filter(isPublic).map((method) => {
    const { localName } = method;
    // A stream that may last has only the time that its caller states, which goes along by itself.
    const time = lasts(method) ? {} : { timeoutMs: deadlineMs };
    const handler = (input: Message | AsyncIterable<Message>, ctx: HandlerContext) =>
      sendOf(peer, localName)(input, { signal: ctx.signal, ...time });
    return [localName, handler];
  });
  return { ...route(service, Object.fromEntries(methods)), forwarded: true };
}

/** One method of a client, whatever its kind. */
type Send = (input: Message | AsyncIterable<Message>, options: CallOptions) => unknown;

function sendOf(peer: Readonly<Record<string, Send>>, localName: string): Send {
  const send = peer[localName];
  if (!send) throw new Error(`the client has no method ${localName}`);
  return send;
}
