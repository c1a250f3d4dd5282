import { type AnthropicServer, anthropicServer, type WireAnswer } from "@soldier/ai/testing";
import type { Desks } from "./testing-shop.ts";
import type { TurnUnderTest, turnUnderTest } from "./testing.ts";

type Behaviour = Parameters<typeof turnUnderTest>[0];

/** What a scripted model says: replies in turn, and for each shape a value, or text that is none. */
export interface Script {
  readonly replies?: readonly string[];
  readonly structured?: Readonly<Record<string, unknown>>;
  readonly delay_ms?: number;
  readonly word_delay_ms?: number;
}

/** A desk whose model keeps to a script. */
export function scriptedDesk(
  desks: Desks,
  behaviour: Behaviour,
  { replies = ["We are open."], structured = {}, ...script }: Script = {},
  settings: Record<string, unknown> = {},
): Promise<TurnUnderTest> {
  const texts = Object.entries(structured).map(([shape, value]) => [
    shape,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const scripted = { replies: [...replies], structured: Object.fromEntries(texts), ...script };
  return desks.start(behaviour, {
    settings: { model: { provider: "scripted", scripted }, ...settings },
  });
}

/** A desk whose model is a provider's, spoken to over a real socket; answers come in order. */
export async function wiredDesk(
  desks: Desks,
  behaviour: Behaviour,
  answers: Parameters<typeof anthropicServer>[0],
  settings: Record<string, unknown> = {},
): Promise<{ readonly desk: TurnUnderTest; readonly server: AnthropicServer }> {
  const server = await anthropicServer(answers);
  desks.closes(server);
  const model = { provider: "anthropic", api_key: "k", base_url: server.url };
  return { desk: await desks.start(behaviour, { settings: { model, ...settings } }), server };
}

/** An answer on the wire, of one piece. */
export function wire(value: unknown): WireAnswer {
  return { pieces: [typeof value === "string" ? value : JSON.stringify(value)] };
}

export const context = {
  intent: "The customer wants to know when the shop is open.",
  topic: "opening hours",
  sentiment: 0.2,
  signal: "none",
};
export const noMove = { kind: "none", id: "", confidence: 0 };
export const applies = (id: string) => ({
  id,
  applies: true,
  confidence: 0.9,
  reason: "it is asked",
});
export const doesNot = (id: string) => ({
  id,
  applies: false,
  confidence: 0.1,
  reason: "it is not",
});

/** All that a fused call is to answer. */
export function judgement(rules: readonly object[], more: object = {}) {
  return { ...context, rules, move: noMove, ...more };
}
