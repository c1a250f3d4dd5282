import { Fault } from "@soldier/kernel/fault";
import type { FactPlace } from "../store/fact-store.ts";

/** Opaque to clients: the revision before which the next page begins. */
export function pageToken(revision: number): string {
  return Buffer.from(`r${revision}`, "utf8").toString("base64url");
}

/** The revision in a page token; undefined for the first page. Throws "invalid" for any other text. */
export function revisionOf(token: string): number | undefined {
  const [, digits] = read(token, /^r(\d{1,15})$/) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Where the next page of facts begins. */
export function factToken(place: FactPlace | undefined): string {
  return place ? Buffer.from(`f${place.from}.${place.number}`, "utf8").toString("base64url") : "";
}

export function factPlaceOf(token: string): FactPlace | undefined {
  const [, from, number] = read(token, /^f(-?\d{1,15})\.(\d{1,15})$/) ?? [];
  return from === undefined ? undefined : { from: Number(from), number: Number(number) };
}

/** The id after which the next page begins. */
export function idToken(id: string | undefined): string {
  return id === undefined ? "" : Buffer.from(`i${id}`, "utf8").toString("base64url");
}

export function idOf(token: string): string | undefined {
  return read(token, /^i([^\0]+)$/)?.[1];
}

function read(token: string, form: RegExp): RegExpExecArray | undefined {
  if (token === "") return undefined;
  const found = form.exec(Buffer.from(token, "base64url").toString("utf8"));
  if (found) return found;
  throw new Fault("invalid", "page_token is not from an earlier page", {
    reason: "PAGE_TOKEN_INVALID",
    fields: [{ field: "page_token", description: "must be a next_page_token" }],
  });
}
