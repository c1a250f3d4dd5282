import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import {
  type ConnectError,
  Code,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import {
  type CallOptions,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { Fault } from "@soldier/kernel/fault";
import { left, untilAborted } from "./around.ts";
import { patienceKey } from "./client.ts";
import {
  addMetadata,
  codecOf,
  drained,
  errorOf,
  messagesOf,
  metadataOf,
  pathOf,
} from "./grpc-messages.ts";
import { notSent } from "./retry.ts";

/** Calls over gRPC, spread evenly over every address that the target's name has. */
export function grpcTransport(target: string, maxMessageBytes: number): Transport & Disposable {
  const client = new Client(target, credentials.createInsecure(), channelOptions(maxMessageBytes));
  return {
    async unary(method, signal, timeoutMs, header, input, values) {
      await peerThere(client, values, signal, timeoutMs);
      return await new Promise((resolve, reject) => {
        let answered: Metadata | undefined;
        let message: Message | undefined;
        const call = withoutStack(() =>
          client.makeUnaryRequest(
            pathOf(method),
            codecOf(method.input).serialize,
            codecOf(method.output).deserialize,
            create(method.input, input) as Message, // the method's own type, as the codec's
            metadataOf(header),
            callOptions(timeoutMs),
            (error, response) => {
              if (error) reject(failureOf(error));
              else message = response;
            },
          ),
        );
        const disarm = cancelledBy(signal, call);
        call.on("metadata", (metadata: Metadata) => (answered = metadata));
        // Comes last, after the callback.
        call.on("status", ({ metadata }) => {
          disarm();
          if (!message) return;
          resolve(unaryResponse(method, message, answered, metadata));
        });
      });
    },

    async stream(method, signal, timeoutMs, header, input, values) {
      await peerThere(client, values, signal, timeoutMs);
      // To the wire the three kinds of stream are one; the server knows how many messages to expect.
      const call = withoutStack(() =>
        client.makeBidiStreamRequest(
          pathOf(method),
          codecOf(method.input).serialize,
          codecOf(method.output).deserialize,
          metadataOf(header),
          callOptions(timeoutMs),
        ),
      );
      const failure = (error: Error) => sending.failure ?? failureOf(error);
      const messages = messagesOf(call, failure);
      const disarm = cancelledBy(signal, call);
      call.on("status", disarm);
      const trailer = new Headers();
      call.on("status", ({ metadata }) => addMetadata(trailer, metadata));
      const sending = send(call, input, (message) => create(method.input, message) as Message);
      const answered = await begun(call, failure);
      const service = method.parent;
      const message = cancelledWhenLeft(messages, call);
      const res = { stream: true, service, method, message, header: answered, trailer };
      return res as StreamResponse<never, never>; // the codec has made just this type
    },

    [Symbol.dispose]: () => client.close(),
  };
}

function channelOptions(maxMessageBytes: number): ChannelOptions {
  return {
    // One connection to each address; without it the first address gets every call.
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    "grpc.service_config_disable_resolution": 1,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.initial_reconnect_backoff_ms": 100,
    // A replica that starts again is found soon; two attempts a second to each address cost nothing.
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.dns_min_time_between_resolutions_ms": 5_000,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
  };
}

/**
 * grpc-js notes for each call where it was made, and all that awaits it, in case that it fails. That takes
 * some microseconds, and nobody reads it: our Faults have a stack of their own.
 */
function withoutStack<T>(make: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Hardly anybody looks at header and trailer: they are made for those who do. */
function unaryResponse(
  method: DescMethodUnary,
  message: Message,
  header: Metadata | undefined,
  trailer: Metadata,
): UnaryResponse<never, never> {
  const res = {
    stream: false,
    service: method.parent,
    method,
    message,
    get header() {
      return header ? addMetadata(new Headers(), header) : new Headers();
    },
    get trailer() {
      return addMetadata(new Headers(), trailer);
    },
  };
  return res as UnaryResponse<never, never>; // the codec has made just this type
}

/** Throws the Fault "unavailable", which is not repeated, when there is nobody for so long. */
async function peerThere(
  client: Client,
  values: ContextValues | undefined,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): Promise<void> {
  const patienceMs = Math.min(values?.get(patienceKey) ?? 0, timeoutMs ?? Infinity);
  if (patienceMs === 0) return;
  if (client.getChannel().getConnectivityState(true) === connectivityState.READY) return;
  await new Promise<void>((resolve, reject) => {
    const gone = () => reject(left());
    if (signal?.aborted) return gone();
    signal?.addEventListener("abort", gone, { once: true });
    client.waitForReady(Date.now() + patienceMs, (error) => {
      signal?.removeEventListener("abort", gone);
      if (error) reject(nobodyCame(error));
      else resolve();
    });
  });
}

function nobodyCame(cause: Error): Fault {
  return new Fault("unavailable", "a service cannot be reached; try again", { cause });
}

function callOptions(timeoutMs: number | undefined): CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

interface Cancellable {
  cancel(): void;
}

function cancelledBy(signal: AbortSignal | undefined, call: Cancellable): () => void {
  if (!signal) return () => {};
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}

/** Sends the requests as fast as they are taken. What goes wrong in making them ends the call. */
function send<T>(
  call: ClientDuplexStream<Message, Message>,
  input: AsyncIterable<T>,
  make: (message: T) => Message,
): { readonly failure: unknown } {
  const over = new AbortController();
  const sending: { failure: unknown } = { failure: undefined };
  call.on("status", () => over.abort(sending));
  const run = async () => {
    try {
      for await (const message of untilAborted(input, over.signal))
        if (!call.write(make(message))) await drained(call);
      call.end();
    } catch (error) {
      if (error === sending) return; // The server has answered all it will: nobody listens.
      sending.failure = error;
      call.cancel();
    }
  };
  void run();
  return sending;
}

/** The response's header, which comes with its first message or with its end. */
function begun(
  call: ClientDuplexStream<Message, Message>,
  failure: (error: Error) => unknown,
): Promise<Headers> {
  return new Promise((resolve, reject) => {
    call.on("metadata", (metadata: Metadata) => resolve(addMetadata(new Headers(), metadata)));
    call.on("error", (error) => reject(failure(error)));
    call.on("status", () => resolve(new Headers()));
  });
}

function cancelledWhenLeft<T>(messages: AsyncIterable<T>, call: Cancellable): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      return {
        next: () => iterator.next(),
        async return() {
          call.cancel();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

function failureOf(error: Error): ConnectError {
  // grpc-js only emits its own.
  const failure = errorOf(error as ServiceError);
  const nobodyThere = /No connection established|Name resolution failed|Channel closed before/;
  if (failure.code === Code.Unavailable && nobodyThere.test(failure.rawMessage))
    notSent.add(failure);
  return failure;
}
