import { SessionStatus } from "@soldier/proto/session/v1/session";
import type { Json, JsonRecord } from "../domain/json.ts";

/** What a tool of the engine itself does to the turn. */
export type BuiltinEffect =
  | { readonly kind: "set-field"; readonly field: string; readonly value: Json }
  | { readonly kind: "status"; readonly status: SessionStatus };

/** The effect of a tool that is built in; undefined for a name that isn't. */
export function builtin(name: string, values: JsonRecord): BuiltinEffect | undefined {
  switch (name) {
    case "set_field": {
      const { field, value } = values;
      return typeof field === "string" && field !== "" && value !== undefined
        ? { kind: "set-field", field, value }
        : undefined;
    }
    case "hand_off":
      return { kind: "status", status: SessionStatus.INTERRUPTED };
    case "close_session":
      return { kind: "status", status: SessionStatus.CLOSED };
    default:
      return undefined;
  }
}
