import { createServer } from "node:http";
import { once } from "node:events";
import { json } from "node:stream/consumers";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { openApi } from "@soldier/cli/api";
import { type AgentDocumentSchema, ConfigService } from "@soldier/proto/config/v1/config_service";
import { TemplateMode } from "@soldier/proto/config/v1/template";
import { z } from "zod";

export const agentSlug = "desk";

/** An agent whose tool has an effect that can be counted: a ticket is opened. */
const document: MessageInitShape<typeof AgentDocumentSchema> = {
  agent: { slug: agentSlug, name: "Desk", instructions: "You open tickets." },
  rules: [
    {
      name: "greeting",
      condition: "the customer says hello",
      examples: ["hello there"],
      templateIds: ["greeting"],
    },
    {
      name: "ticket",
      condition: "the customer wants a ticket to be opened",
      examples: ["please open a ticket about T-00000000"],
      toolIds: ["open_ticket"],
      templateIds: ["opened"],
    },
  ],
  tools: [
    {
      name: "open_ticket",
      description: "Opens a ticket.",
      inputSchema: { type: "object", properties: { ref: { type: "string" } }, required: ["ref"] },
      arguments: { ref: { pattern: "\\b(T-[0-9a-f]{8})\\b" } },
      // Told twice, it opens two tickets.
      idempotent: false,
      kind: {
        case: "http",
        // oxlint-disable-next-line no-template-curly-in-string -- a setting's name
        value: { method: "POST", url: "${desk_backend}/tickets" },
      },
    },
  ],
  templates: [
    { name: "greeting", mode: TemplateMode.EXCLUSIVE, text: "Hello." },
    { name: "opened", mode: TemplateMode.EXCLUSIVE, text: "Ticket {open_ticket.ref} is open." },
    { name: "fallback", mode: TemplateMode.FALLBACK, text: "I can't do that just now." },
  ],
};

export async function installDesk(url: string, token: string): Promise<void> {
  const call = openApi({ url, token, agent: agentSlug });
  await call(ConfigService).applyAgent({ document, publish: true });
}

export interface TicketOffice extends AsyncDisposable {
  readonly url: string;
  /** How many tickets each reference has. */
  readonly tickets: ReadonlyMap<string, number>;
  /** Whether it opens tickets without a word: the connection ends instead of an answer. */
  silent(on: boolean): void;
}

const order = z.object({ ref: z.string() });

/** Counts what it is told, however often: it knows no idempotency keys. */
export async function openTicketOffice(): Promise<TicketOffice> {
  const tickets = new Map<string, number>();
  let silent = false;
  const server = createServer((req, res) => {
    json(req).then(
      (body) => {
        const { ref } = order.parse(body);
        tickets.set(ref, (tickets.get(ref) ?? 0) + 1);
        if (silent) return void req.socket.destroy();
        res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ref }));
      },
      () => res.writeHead(400).end(),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    tickets,
    silent: (on) => void (silent = on),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
