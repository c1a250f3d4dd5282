import type { DescMethod, Message } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  setLogVerbosity,
  type sendUnaryData,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { isStreaming, isUnary, left, type Response } from "./around.ts";
import type { ChassisSettings } from "./chassis-settings.ts";
import { timeoutKey } from "./deadline.ts";
import { type Dispatch, type Handle, servicesOf } from "./dispatch.ts";
import {
  addMetadata,
  codecOf,
  drained,
  messagesOf,
  metadataOf,
  pathOf,
  statusOf,
} from "./grpc-messages.ts";
import type { Listener, ListenAt } from "./listener.ts";
import { portTaken } from "./listener.ts";

// What goes wrong comes to us as an error; it needn't be on standard error as well.
setLogVerbosity(logVerbosity.NONE);

type AnyCall = ServerUnaryCall<Message, Message> | ServerDuplexStream<Message, Message>;

/** Serves the handlers to the mesh: gRPC over cleartext HTTP/2. */
export async function listenGrpc(
  handlers: Dispatch,
  settings: ChassisSettings["server"],
  at: ListenAt,
): Promise<Listener> {
  const server = new Server({
    "grpc.max_receive_message_length": settings.max_message_bytes,
    "grpc.max_send_message_length": settings.max_message_bytes,
    "grpc.max_connection_age_ms": settings.max_connection_age_ms,
    "grpc.max_connection_age_grace_ms": settings.max_deadline_ms,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.enable_channelz": 0,
  });
  for (const service of servicesOf(handlers)) {
    const definition: Record<string, ServiceDefinition[string]> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const method of service.methods) {
      const handle = handlers.get(method);
      if (!handle) continue;
      definition[method.name] = definitionOf(method);
      implementation[method.name] = implementationOf(method, handle);
    }
    server.addService(definition, implementation);
  }
  const port = await bound(server, at);
  return {
    port,
    async drain(timeoutMs) {
      // forceShutdown() forgets connections that channelz doesn't count; this one cuts them in time.
      server.drain(`${at.host}:${port}`, timeoutMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    },
  };
}

function bound(server: Server, at: ListenAt): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${at.host}:${at.port}`, ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(portTaken(at, error));
      else resolve(port);
    });
  });
}

function definitionOf(method: DescMethod): ServiceDefinition[string] {
  const request = codecOf(method.input);
  const response = codecOf(method.output);
  // To the wire the three kinds of stream are one; dispatch knows how many messages to expect.
  const isStream = method.methodKind !== "unary";
  return {
    path: pathOf(method),
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

function implementationOf(
  method: DescMethod,
  handle: Handle,
): UntypedServiceImplementation[string] {
  if (isUnary(method))
    return (call: ServerUnaryCall<Message, Message>, reply: sendUnaryData<Message>) => {
      const common = requestOf(method, call);
      void answer(call, reply, handle({ ...common, stream: false, method, message: call.request }));
    };
  if (isStreaming(method))
    return (call: ServerDuplexStream<Message, Message>) => {
      const common = requestOf(method, call);
      void pump(call, handle({ ...common, stream: true, method, message: messagesOf(call) }));
    };
  throw new TypeError(`${method.name} is of no known kind`);
}

/** One for all: grpc-js says so at the end of each call, too, and a reason of its own is a stack trace. */
const callerLeft = left();

function requestOf(method: DescMethod, call: AnyCall) {
  const leaving = new AbortController();
  call.once("cancelled", () => leaving.abort(callerLeft));
  return {
    service: method.parent,
    requestMethod: "POST",
    url: `http://${call.getHost()}${call.getPath()}`,
    signal: leaving.signal,
    header: addMetadata(new Headers(), call.metadata),
    contextValues: createContextValues().set(timeoutKey, timeoutOf(call)),
  };
}

function timeoutOf(call: AnyCall): number | undefined {
  const deadline = call.getDeadline();
  const atMs = typeof deadline === "number" ? deadline : deadline.getTime();
  return atMs === Infinity ? undefined : atMs - Date.now();
}

/** One message goes back. Never rejects: what fails goes to the caller. */
async function answer(call: AnyCall, reply: sendUnaryData<Message>, handled: Promise<Response>) {
  try {
    const res = await handled;
    if (res.stream) throw new TypeError("a unary handler answered with a stream");
    sendHeader(call, res.header);
    reply(null, res.message, metadataOf(res.trailer));
  } catch (error) {
    reply(statusOf(error));
  }
}

/** A stream goes back, as fast as it is taken. Never rejects: what fails goes to the caller. */
async function pump(call: ServerDuplexStream<Message, Message>, handled: Promise<Response>) {
  try {
    const res = await handled;
    if (!res.stream) throw new TypeError("a streaming handler answered once");
    sendHeader(call, res.header);
    for await (const message of res.message) {
      if (!call.write(message)) await drained(call);
      if (call.cancelled) return;
    }
    call.end(metadataOf(res.trailer));
  } catch (error) {
    call.emit("error", statusOf(error));
  }
}

function sendHeader(call: AnyCall, header: Headers): void {
  if (!header.keys().next().done) call.sendMetadata(metadataOf(header));
}
