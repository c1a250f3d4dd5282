import { ScenarioSignal } from "@soldier/proto/audit/v1/turn_record";
import type { FoundField } from "./fields.ts";
import type { Json } from "./json.ts";

/** What is understood of a message. */
export interface Context {
  /** One full sentence; without a model, the message as it stands. */
  readonly intent: string;
  readonly topic: string;
  /** -1 to 1. */
  readonly sentiment: number;
  readonly signal: ScenarioSignal;
  readonly entities: readonly Entity[];
  /** Values for fields that the message gives. */
  readonly fields: readonly FoundField[];
  /** How sure it is that the customer wants to leave the scenario, 0 to 1. */
  readonly exitSignal: number;
  readonly mode: "llm" | "embedding_only" | "disabled";
  /** The message's vector; undefined when it could not be had. */
  readonly vector: Float32Array | undefined;
}

export interface Entity {
  readonly name: string;
  readonly text: string;
  readonly value: Json;
}

export function plainContext(text: string): Context {
  return {
    intent: text,
    topic: "",
    sentiment: 0,
    signal: ScenarioSignal.UNSPECIFIED,
    entities: [],
    fields: [],
    exitSignal: 0,
    mode: "disabled",
    vector: undefined,
  };
}
