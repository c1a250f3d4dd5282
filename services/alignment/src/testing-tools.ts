import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type TurnUnderTest, turnUnderTest } from "./testing.ts";

/** A request that a tool sent. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type ToolAnswer = (res: ServerResponse) => void;

export function json(body: unknown, status = 200): ToolAnswer {
  return (res) => {
    res.writeHead(status, { "content-type": "application/json" });
    res.end(JSON.stringify(body));
  };
}

/** A tool's own server on a free port, and services that may reach it. */
export class ToolServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  answer: ToolAnswer = json({});
  private readonly server = createServer((req, res) => {
    void text(req).then((body) => {
      const { method = "", url = "", headers } = req;
      this.asked.push({ method, url, headers, body });
      this.answer(res);
    });
  });
  private readonly started: TurnUnderTest[] = [];

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
  }

  get host(): string {
    // A server that listens on TCP has an address of this kind.
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The alignment service, with `${shop}` as this server, `${key}` as a secret and no model unless set. */
  async start(
    behaviour: Parameters<typeof turnUnderTest>[0],
    allowed: readonly string[] = [this.host],
    settings: Record<string, unknown> = {},
  ): Promise<TurnUnderTest> {
    const made = await turnUnderTest(behaviour, {
      settings: {
        alignment: {
          tools: { allowed_private_hosts: [...allowed] },
          tool_settings: { shop: `http://${this.host}`, key: "s3cret" },
        },
        ...settings,
      },
    });
    this.started.push(made);
    return made;
  }

  /** Stops what was started, and forgets what was asked. */
  async reset(answer: ToolAnswer): Promise<void> {
    for (const made of this.started.splice(0)) await made[Symbol.asyncDispose]();
    this.asked.length = 0;
    this.answer = answer;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset(json({}));
    await this.stop();
  }
}

/** A tool that looks up an order by its number, as in "L-17". */
export const order = {
  name: "find-order",
  idempotent: true,
  inputSchema: {
    type: "object",
    required: ["order_id"],
    properties: { order_id: { type: "string", pattern: "^L-\\d+$" } },
  },
  outputSchema: { type: "object", required: ["status"] },
  arguments: { order_id: { pattern: "\\b(L-?\\w+)\\b", ask: "Which order number?" } },
  http: {
    method: "GET",
    url: "${shop}/orders/{order_id}",
    headers: { authorization: "Bearer ${key}" },
  },
};
