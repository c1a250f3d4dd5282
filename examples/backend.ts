// A small backend for the example agents: a shop's orders and a bank's cards, by HTTP and JSON.
// It keeps what it was told while it runs, obeys Idempotency-Key, and counts its effects.
import { createServer, type IncomingMessage } from "node:http";
import { cards, day, type Order, orders, payments, stock } from "./backend-data.ts";

/** An answer, with its HTTP status. */
interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Handle = (
  match: readonly string[],
  query: URLSearchParams,
  body: Readonly<Record<string, unknown>>,
) => unknown;

export interface ExampleBackend extends AsyncDisposable {
  readonly url: string;
  /** How often each act was really done, e.g. `{ "POST /shop/returns": 1 }`. */
  readonly effects: ReadonlyMap<string, number>;
}

/** Serves on 127.0.0.1; port 0 takes any free one. */
export async function startExampleBackend(options: {
  port: number;
  today?: Date;
}): Promise<ExampleBackend> {
  const routes = exampleRoutes(options.today ?? new Date());
  const effects = new Map<string, number>();
  const answered = new Map<string, Answer>();

  function answer(
    method: string,
    url: URL,
    key: string | undefined,
    body: Readonly<Record<string, unknown>>,
  ): Answer {
    const known = key === undefined ? undefined : answered.get(key);
    if (known) return known;
    for (const [route, handle] of routes) {
      const [verb = "", path = ""] = route.split(" ");
      const match = new RegExp(`^${path.replaceAll(/\{\w+\}/g, "([^/]+)")}$`).exec(url.pathname);
      if (verb !== method || !match) continue;
      const given = {
        status: 200,
        body: handle(match.slice(1).map(decodeURIComponent), url.searchParams, body),
      };
      if (method !== "GET") effects.set(route, (effects.get(route) ?? 0) + 1);
      if (key !== undefined) answered.set(key, given);
      return given;
    }
    return { status: 404, body: { error: `nothing at ${method} ${url.pathname}` } };
  }

  const server = createServer((req, res) => {
    const reply = ({ status, body }: Answer) => {
      res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    const key = req.headers["idempotency-key"];
    readJson(req).then(
      (body) =>
        reply(
          answer(
            req.method ?? "GET",
            new URL(req.url ?? "/", "http://backend"),
            typeof key === "string" ? key : undefined,
            body,
          ),
        ),
      (error: unknown) => reply({ status: 400, body: { error: String(error) } }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(options.port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on TCP");
  return {
    url: `http://127.0.0.1:${address.port}`,
    effects,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function exampleRoutes(today: Date): ReadonlyMap<string, Handle> {
  const known = { orders: orders(today), cards: cards(), payments: payments(today) };
  const orderOf = (id: unknown) => {
    const digits = String(id).replaceAll(/\D/g, "");
    return known.orders.find((order) => order.order_id === `L-${digits}`);
  };
  const cardOf = (lastFour: unknown) =>
    known.cards.find((card) => card.last_four === String(lastFour));
  const number = (prefix: string) => `${prefix}-${crypto.randomUUID().slice(0, 6).toUpperCase()}`;

  return new Map<string, Handle>([
    ["GET /shop/orders/{id}", ([id]) => shown(orderOf(id), String(id), today)],
    [
      "POST /shop/orders/{id}/cancel",
      ([id]) => {
        const order = orderOf(id);
        if (order?.status !== "processing") return { order_id: id, cancelled: false };
        order.status = "cancelled";
        return { order_id: order.order_id, amount: order.amount, cancelled: true };
      },
    ],
    [
      "POST /shop/returns",
      (_, __, body) => {
        const id = number("R");
        return {
          return_id: id,
          order_id: body["order_id"],
          label_url: `https://larkspur.example/labels/${id}`,
        };
      },
    ],
    ["GET /shop/returns/status", () => ({ open: true })],
    ["POST /shop/investigations", () => ({ case_id: number("C"), answer_by: day(today, 5) })],
    [
      "GET /shop/stock",
      (_, query) => {
        const product = query.get("product") ?? "";
        return {
          product,
          sentence:
            stock.find(({ words }) => words.test(product))?.sentence ??
            `I don't know a product named "${product}".`,
        };
      },
    ],
    [
      "GET /bank/cards/{digits}",
      ([digits]) => {
        const card = cardOf(digits);
        return card ? { found: true, ...card } : { found: false, last_four: digits };
      },
    ],
    [
      "POST /bank/cards/{digits}/block",
      ([digits]) => {
        const card = cardOf(digits);
        if (card) card.status = "blocked";
        return {
          last_four: digits,
          blocked_at: new Date().toISOString().slice(0, 16).replace("T", " "),
        };
      },
    ],
    [
      "POST /bank/cards/{digits}/replacement",
      ([digits]) => ({ last_four: digits, arrives_by: day(today, 8) }),
    ],
    [
      "PUT /bank/cards/{digits}/limit",
      ([digits], _, body) => {
        const card = cardOf(digits);
        const limit = Number(body["amount"]);
        if (card) card.daily_limit = limit;
        return { last_four: digits, daily_limit: limit };
      },
    ],
    [
      "GET /bank/cards/{digits}/payments",
      ([digits], query) => {
        const amount = Number((query.get("amount") ?? "").replace(",", "."));
        const found = known.payments.find(
          (payment) => payment.last_four === digits && payment.amount === amount,
        );
        return found ? { found: true, ...found } : { found: false };
      },
    ],
    [
      "POST /bank/disputes",
      (_, __, body) => ({
        dispute_id: number("D"),
        payment_id: body["payment_id"],
        answer_by: day(today, 14),
      }),
    ],
  ]);
}

const statusTexts = {
  processing: "being packed in our warehouse",
  shipped: "on its way to you",
  delivered: "delivered",
  cancelled: "cancelled",
} as const;

function shown(order: Order | undefined, id: string, today: Date): unknown {
  if (!order) return { order_id: id, found: false, status: "unknown" };
  const returnable = order.delivered_on === undefined || order.delivered_on >= day(today, -30);
  return { ...order, found: true, returnable, status_text: statusTexts[order.status] };
}

async function readJson(req: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  let text = "";
  for await (const chunk of req) text += String(chunk);
  const parsed: unknown = text === "" ? {} : JSON.parse(text);
  if (typeof parsed !== "object" || parsed === null) throw new Error("the body is not an object");
  return { ...parsed };
}
