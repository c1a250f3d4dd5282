import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { z } from "zod";

/** What a server does with one call, on the wire. */
export type WireAnswer =
  | {
      /** Streamed one piece per event. */
      readonly pieces: readonly string[];
      /** What comes after the pieces. Default: an ordinary end with this stop reason. */
      readonly ending?: "silence" | "cut" | "close" | { readonly error: string };
      /** As the provider has it. */
      readonly stopReason?: string;
      /** Sent before the pieces, as models that reason do. */
      readonly thinking?: string;
    }
  | {
      readonly status: number;
      /** The provider's name for the error. */
      readonly error: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Status 200 with this body, whatever was asked for. */
  | { readonly garbage: string; readonly type: string }
  /** Takes the request and never answers it. */
  | "silence";

export type Streamed = Extract<WireAnswer, { pieces: unknown }>;
export type Failed = Extract<WireAnswer, { status: unknown }>;

/** What every wire server reports of the tokens of a call, those written aside. */
export const wireTokens = { fresh: 25, read: 300, written: 7 };

export interface WireServer<Request> extends AsyncDisposable {
  readonly url: string;
  /** The bodies received, in order. */
  readonly requests: readonly Request[];
  readonly headers: readonly IncomingMessage["headers"][];
  /** Resolves when that many calls have arrived. */
  received(calls: number): Promise<void>;
  /** Resolves when the client has hung up on that many calls before their end. */
  hungUp(calls: number): Promise<void>;
}

/** How a provider puts it all. */
export interface Wire<S extends z.ZodType, Answer> {
  /** With its query, e.g. "/v1/messages". */
  readonly paths: readonly string[];
  /** A request that doesn't fit is answered with status 400. */
  readonly request: S;
  readonly fail: (res: ServerResponse, failed: Failed) => void;
  readonly answer: (res: ServerResponse, answer: Answer, req: z.output<S>) => void;
}

/** Answers in order, or as the request deserves. */
export type Answers<Request, Answer> =
  | readonly (Answer | Failure)[]
  | ((request: Request) => Answer | Failure | Promise<Answer | Failure>);

type Failure = Exclude<WireAnswer, Streamed>;

/** A local server over real sockets, with all the ways in which a connection goes wrong. */
export async function wireServer<S extends z.ZodType, Answer>(
  wire: Wire<S, Exclude<Answer, Failure>>,
  answers: Answers<z.output<S>, Answer>,
): Promise<WireServer<z.output<S>>> {
  const requests: z.output<S>[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const arrivals = tally();
  const departures = tally();

  async function take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    res.on("close", () => {
      if (!res.writableFinished) departures.add();
    });
    const read = wire.request.safeParse(await json(req));
    if (!wire.paths.includes(req.url ?? "") || !read.success) {
      const message = read.error?.message ?? `no route ${req.url}`;
      wire.fail(res, { status: 400, error: "invalid_request_error", message });
      return;
    }
    const inOrder = typeof answers === "function" ? undefined : answers[requests.length];
    requests.push(read.data);
    headers.push(req.headers);
    arrivals.add();
    const next = typeof answers === "function" ? await answers(read.data) : inOrder;
    if (next === undefined)
      wire.fail(res, { status: 500, error: "api_error", message: "the test has no more answers" });
    else if (next === "silence") return;
    else if (isFailed(next)) wire.fail(res, next);
    else if (isGarbage(next)) {
      res.writeHead(200, { "content-type": next.type });
      res.end(next.garbage);
    } else {
      // What is left when failures are taken out: what the exclusion in the wire's type says.
      wire.answer(res, next as Exclude<Answer, Failure>, read.data);
    }
  }

  const server = createServer((req, res) => {
    take(req, res).catch((error: unknown) =>
      res.destroy(error instanceof Error ? error : undefined),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A server that listens on TCP has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    headers,
    received: (calls) => arrivals.reach(calls),
    hungUp: (calls) => departures.reach(calls),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  res.writeHead(status, {
    "content-type": "application/json",
    "request-id": "req_test",
    ...headers,
  });
  res.end(JSON.stringify(body));
}

function isFailed(answer: unknown): answer is Failed {
  return typeof answer === "object" && answer !== null && "status" in answer;
}

function isGarbage(answer: unknown): answer is Extract<WireAnswer, { garbage: unknown }> {
  return typeof answer === "object" && answer !== null && "garbage" in answer;
}

/** A count that can be waited for. */
function tally(): { add(): void; reach(count: number): Promise<void> } {
  let counted = 0;
  const waiting: { count: number; resolve: () => void }[] = [];
  return {
    add() {
      counted++;
      for (const { count, resolve } of waiting) if (counted >= count) resolve();
    },
    reach: (count) =>
      counted >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
  };
}
