import type { JsonValue } from "@bufbuild/protobuf";
import type { Authority, TimeBasis } from "./claim.ts";

export type EntityType = "person" | "place" | "organisation" | "product" | "thing";

/** What is spoken of, before it is known which entity that is. */
export type Named =
  /** Whoever the episode's customer is. */
  | { readonly kind: "customer" }
  /** A name as it was said. */
  | { readonly kind: "mention"; readonly name: string; readonly type: EntityType }
  | { readonly kind: "entity"; readonly id: string };

export type FoundValue = Named | { readonly kind: "literal"; readonly json: JsonValue };

/** A plain value as it would be said. */
export function literalText(json: JsonValue): string {
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** A claim as it was found in a text. Times are ISO 8601. */
export interface FoundClaim {
  readonly kind: "assert" | "end";
  readonly subject: Named;
  readonly predicate: string;
  /** Undefined of an END: of whatever holds. */
  readonly value: FoundValue | undefined;
  readonly validFrom: string | undefined;
  /** Excluded; of an END: when it ended. */
  readonly validTo: string | undefined;
  readonly timeBasis: TimeBasis;
  readonly authority: Authority;
  readonly confidence: number;
  /** Characters of the episode's text, the end excluded. */
  readonly spanStart: number;
  readonly spanEnd: number;
}

/** "I meant Leicester, not Leeds": which claim is meant shows only when it is looked for. */
export interface FoundCorrection {
  readonly kind: "correction";
  /** What was said wrong; undefined: what was said last. */
  readonly wrong: string | undefined;
  readonly right: string;
  readonly authority: Authority;
  readonly spanStart: number;
  readonly spanEnd: number;
}

export type Finding = FoundClaim | FoundCorrection;

/** What came of reading one episode. */
export interface Extraction {
  /** "pattern:v1", "llm:model@prompt-hash". */
  readonly extractor: string;
  readonly findings: readonly Finding[];
}
