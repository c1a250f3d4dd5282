import { type Agent, type IncomingHttpHeaders, request } from "node:http";

/** Where to send requests, and as whom. */
export interface Target {
  readonly url: string;
  readonly token: string;
  readonly agent: string;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Extras {
  readonly headers?: Readonly<Record<string, string>>;
  /** Rejects when the whole answer is not there after so long; undefined waits for ever. */
  readonly timeoutMs?: number;
}

/** node:http rather than fetch: the client shares the machine with what it measures. */
export function send(
  agent: Agent,
  { url, token }: Pick<Target, "url" | "token">,
  method: "GET" | "POST",
  path: string,
  body?: object,
  { headers = {}, timeoutMs }: Extras = {},
): Promise<Answered> {
  const text = body === undefined ? "" : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const req = request(new URL(path, url), {
      agent,
      method,
      headers: {
        ...headers,
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      },
    });
    const late = () => req.destroy(new Error(`no whole answer after ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    req.on("close", () => clearTimeout(timer));
    req.on("error", reject).on("response", (res) => {
      let answer = "";
      res.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
      res.on("error", reject).on("end", () => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, text: answer });
      });
    });
    req.end(text);
  });
}
