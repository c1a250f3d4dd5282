// What the example backend knows at its start. Days are counted from today, so that the stories stay true.

export interface Order {
  readonly order_id: string;
  readonly summary: string;
  readonly amount: string;
  status: "processing" | "shipped" | "delivered" | "cancelled";
  readonly delivered_on?: string;
  readonly expected_on?: string;
}

export interface Card {
  readonly last_four: string;
  readonly product: string;
  status: "active" | "blocked";
  daily_limit: number;
}

export interface Payment {
  readonly payment_id: string;
  readonly last_four: string;
  readonly amount: number;
  readonly merchant: string;
  readonly booked_on: string;
}

/** A day in ISO 8601, so many days from `today`. */
export function day(today: Date, offset: number): string {
  return new Date(today.getTime() + offset * 86_400_000).toISOString().slice(0, 10);
}

export function orders(today: Date): Order[] {
  return [
    {
      order_id: "L-10423",
      summary: "reading lamp, brass",
      amount: "89.00 €",
      status: "delivered",
      delivered_on: day(today, -6),
    },
    {
      order_id: "L-10424",
      summary: "linen duvet cover, sand",
      amount: "129.00 €",
      status: "processing",
      expected_on: day(today, 4),
    },
    {
      order_id: "L-10425",
      summary: "oak shelf and two vases",
      amount: "348.00 €",
      status: "shipped",
      expected_on: day(today, 2),
    },
    {
      order_id: "L-10311",
      summary: "wool rug, 140 x 200",
      amount: "219.00 €",
      status: "delivered",
      delivered_on: day(today, -52),
    },
    {
      order_id: "L-10426",
      summary: "armchair, green",
      amount: "499.00 €",
      status: "delivered",
      delivered_on: day(today, -1),
    },
  ];
}

export function cards(): Card[] {
  return [
    { last_four: "4821", product: "debit card", status: "active", daily_limit: 1000 },
    { last_four: "7710", product: "credit card", status: "active", daily_limit: 2500 },
    { last_four: "3305", product: "debit card", status: "blocked", daily_limit: 0 },
  ];
}

export function payments(today: Date): Payment[] {
  return [
    {
      payment_id: "P-900001",
      last_four: "4821",
      amount: 49.9,
      merchant: "Streamly Media, Dublin",
      booked_on: day(today, -3),
    },
    {
      payment_id: "P-900002",
      last_four: "4821",
      amount: 12.5,
      merchant: "Bakery Corner, Vienna",
      booked_on: day(today, -1),
    },
    {
      payment_id: "P-900003",
      last_four: "7710",
      amount: 320,
      merchant: "Hotel Aurora, Lisbon",
      booked_on: day(today, -9),
    },
  ];
}

/** Sentences about what is in the warehouse, by words in a product's name. */
export const stock: readonly { readonly words: RegExp; readonly sentence: string }[] = [
  {
    words: /oak table/i,
    sentence: "The oak table is sold out at the moment; the next ones come in about three weeks.",
  },
  {
    words: /oak shelf/i,
    sentence: "The oak shelf is in stock: 14 pieces, with you in 2 to 4 working days.",
  },
  {
    words: /lamp/i,
    sentence: "Lamps are in stock: the reading lamp in brass and black, the floor lamp in black.",
  },
  { words: /duvet/i, sentence: "The linen duvet cover is in stock in sand, white and slate." },
  {
    words: /curtain/i,
    sentence: "Linen curtains are made to measure and take about 10 working days.",
  },
  {
    words: /rug/i,
    sentence: "The wool rug is in stock in 140 x 200 only; 200 x 300 comes next month.",
  },
  { words: /armchair/i, sentence: "The armchair is in stock in green; grey is sold out." },
  { words: /vase/i, sentence: "Vases are in stock in all three sizes." },
];
