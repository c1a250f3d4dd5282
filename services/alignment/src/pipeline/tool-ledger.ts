import type { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import type { Json, JsonRecord } from "../domain/json.ts";

/** What is known of a call with an effect before it is made. */
export type ToolPermit =
  | { readonly kind: "run"; readonly key: string }
  | {
      readonly kind: "done";
      /** Of the call that was made. */
      readonly key: string;
      readonly outcome: ToolCallOutcome;
      readonly result: Json | undefined;
      readonly reason: string;
    }
  /** It was begun, and nobody knows how it ended. */
  | { readonly kind: "unknown"; readonly key: string };

/** Remembers calls with an effect beyond their turn, so that none is made twice when the turn is lost. */
export interface ToolLedger {
  /** Throws LEASE_LOST when another turn has taken the session; then nothing may have an effect any more. */
  begin(call: {
    readonly key: string;
    readonly toolId: string;
    readonly arguments: JsonRecord;
  }): Promise<ToolPermit>;
  /** Never fails: what could not be written down stays unknown. Goes on when the caller has left. */
  end(
    key: string,
    end: {
      readonly outcome: ToolCallOutcome;
      readonly result: Json | undefined;
      readonly reason: string;
    },
  ): Promise<void>;
}
