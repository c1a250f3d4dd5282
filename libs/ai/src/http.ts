/** An HTTP answer that is no success. */
export class HttpFailure extends Error {
  override readonly name = "HttpFailure";
  readonly status: number;
  readonly headers: Headers;
  /** What the body says, if it is JSON. */
  readonly body: unknown;

  constructor(status: number, headers: Headers, body: unknown) {
    super(`status ${status}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

export interface Account {
  /** Empty for a server that asks for none. */
  readonly apiKey?: string | undefined;
  /** Sends the key in this header, as it is, instead of as a bearer token. */
  readonly keyHeader?: string | undefined;
}

/** Posts JSON. Throws an HttpFailure unless it succeeds, and what fetch throws when it can't. */
export async function postJson(
  url: string,
  body: unknown,
  { apiKey, keyHeader }: Account,
  signal: AbortSignal,
): Promise<Response> {
  const key = !apiKey
    ? {}
    : keyHeader
      ? { [keyHeader]: apiKey }
      : { authorization: `Bearer ${apiKey}` };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...key },
    body: JSON.stringify(body),
    signal,
  });
  if (response.ok) return response;
  throw new HttpFailure(response.status, response.headers, parsed(await response.text()));
}

/** The address without what a person leaves at its end. */
export function withoutSlash(baseUrl: string): string {
  return baseUrl.replace(/\/+$/, "");
}

/** The lines of a streamed body, but for empty ones. Leaving early gives the connection up. */
export async function* linesOf(response: Response): AsyncGenerator<string, void, undefined> {
  if (!response.body) return;
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
  }
  if (rest.trim() !== "") yield rest;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // A proxy's page: its status has said enough.
  }
}
