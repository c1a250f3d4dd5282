import {
  create,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  type Client,
  createContextKey,
  createContextValues,
  type Interceptor,
  makeAnyClient,
  type Transport,
} from "@connectrpc/connect";
import { context } from "@opentelemetry/api";
import { Fault } from "@soldier/kernel/fault";
import { left, type Next, type Request, type Response, watched } from "./around.ts";
import { currentCall } from "./current.ts";
import { deadlineKey } from "./deadline.ts";
import { lasts } from "./lasting.ts";
import { layered } from "./dispatch.ts";

export interface ClientSettings {
  readonly interceptors: readonly Interceptor[];
  /** For calls that state none, in milliseconds. */
  readonly deadlineMs: number;
  /** How long calls wait for a peer to be there, in milliseconds; not at all when unset. */
  readonly patienceMs?: number;
}

/** How long a call waits for a peer to be there, in milliseconds. */
export const patienceKey = createContextKey<number>(0, { description: "patience" });

type AnyInput = AsyncIterable<Message> & Message;

/**
 * A typed client over a transport. A call ends by what the current call has left, and with it. A
 * stream begins when it is first read, and leaving it early cancels it.
 */
export function clientOf<S extends DescService>(
  service: S,
  transport: Transport,
  settings: ClientSettings,
): Client<S> {
  const send = layered(carriedBy(transport), settings.interceptors);
  const client = makeAnyClient(service, (method) =>
    method.methodKind === "unary"
      ? (input: Message, options?: CallOptions) => unary(send, method, settings, input, options)
      : streaming(send, method, settings),
  );
  return client as Client<S>; // made from the service's own methods
}

async function unary(
  send: Next,
  method: DescMethodUnary,
  settings: ClientSettings,
  input: Message,
  options: CallOptions | undefined,
): Promise<Message> {
  const signal = signalOf([options?.signal, currentCall().signal]);
  const common = requestOf(method, settings, options, signal);
  const message = create(method.input, input);
  const res = await send({ ...common, stream: false, method, message });
  if (res.stream) throw new TypeError(`${method.name} answered with a stream`);
  heard(res, options);
  return res.message;
}

function streaming(send: Next, method: DescMethodStreaming, settings: ClientSettings) {
  const open = (input: AsyncIterable<Message>, options?: CallOptions) => {
    // Reading may happen elsewhere; the call belongs to whoever made it.
    const here = context.active();
    const answers = messages(send, method, settings, input, options);
    return watched(answers, { run: (part) => context.with(here, part) });
  };
  switch (method.methodKind) {
    case "server_streaming":
      return (input: Message, options?: CallOptions) => open(only(input), options);
    case "bidi_streaming":
      return open;
    case "client_streaming":
      return async (input: AsyncIterable<Message>, options?: CallOptions) => {
        let answer: Message | undefined;
        for await (const message of open(input, options)) answer = message;
        if (!answer) throw new Fault("internal", `${method.name} answered nothing`);
        return answer;
      };
  }
}

async function* messages(
  send: Next,
  method: DescMethodStreaming,
  settings: ClientSettings,
  input: AsyncIterable<Message>,
  options: CallOptions | undefined,
): AsyncGenerator<Message> {
  const leaving = new AbortController();
  const signal = signalOf([options?.signal, currentCall().signal, leaving.signal]);
  const common = requestOf(method, settings, options, signal);
  let complete = false;
  try {
    const res = await send({ ...common, stream: true, method, message: normalized(method, input) });
    if (!res.stream) throw new TypeError(`${method.name} answered without a stream`);
    options?.onHeader?.(res.header);
    yield* res.message;
    complete = true;
    options?.onTrailer?.(res.trailer);
  } finally {
    // Whoever stops reading has left; the other side should stop as well.
    if (!complete) leaving.abort(left());
  }
}

/** A generator, since transports of Connect throw into what they send. */
async function* normalized(method: DescMethodStreaming, input: AsyncIterable<Message>) {
  for await (const message of input) yield create(method.input, message);
}

async function* only<T>(message: T): AsyncIterable<T> {
  yield message;
}

function heard(res: Response, options: CallOptions | undefined): void {
  options?.onHeader?.(res.header);
  options?.onTrailer?.(res.trailer);
}

function requestOf(
  method: DescMethodUnary | DescMethodStreaming,
  settings: ClientSettings,
  options: CallOptions | undefined,
  signal: AbortSignal,
) {
  if (signal.aborted) throw signal.reason instanceof Fault ? signal.reason : left();
  const unstatedMs = lasts(method) ? Infinity : settings.deadlineMs;
  const ownMs = performance.now() + (options?.timeoutMs ?? unstatedMs);
  const deadlineAtMs = Math.min(ownMs, currentCall().deadlineAtMs ?? Infinity);
  const contextValues = options?.contextValues ?? createContextValues();
  return {
    service: method.parent,
    requestMethod: "POST",
    url: "",
    signal,
    header: new Headers(options?.headers),
    contextValues: contextValues
      .set(deadlineKey, deadlineAtMs)
      .set(patienceKey, settings.patienceMs ?? 0),
  };
}

const neverAborted = new AbortController().signal;

function signalOf(signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const [first, ...others] = new Set(signals.filter((signal) => signal !== undefined));
  if (!first) return neverAborted;
  return others.length === 0 ? first : AbortSignal.any([first, ...others]);
}

/** The innermost part: what is left of the call's time goes along with it. */
function carriedBy(transport: Transport): Next {
  return (req: Request): Promise<Response> => {
    // The wire knows only whole milliseconds.
    const remainingMs = (req.contextValues.get(deadlineKey) ?? Infinity) - performance.now();
    const leftMs = remainingMs === Infinity ? undefined : Math.ceil(remainingMs);
    if (leftMs !== undefined && leftMs <= 0)
      throw new Fault("deadline", "the call took longer than it may");
    const { contextValues: values } = req;
    return req.stream
      ? transport.stream(
          req.method,
          req.signal,
          leftMs,
          req.header,
          req.message as AnyInput,
          values,
        )
      : transport.unary(req.method, req.signal, leftMs, req.header, req.message, values);
  };
}
