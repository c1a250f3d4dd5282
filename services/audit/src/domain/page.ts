import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";

/** A place in a list: what comes after it is older, or as old with a smaller id. */
export interface Place {
  readonly at: Date;
  readonly id: string;
}

/** Something in a list, and where it stands. */
export interface Placed<T> {
  readonly item: T;
  readonly place: Place;
}

const defaultSize = 50;

/** 0 asks for the default. */
export function pageSize(asked: number): number {
  return asked === 0 ? defaultSize : asked;
}

/** Where a page begins; undefined for the first. Throws the Fault "invalid" for a foreign token. */
export function placeIn(token: string): Place | undefined {
  if (token === "") return undefined;
  const [, ms, id] =
    /^([0-9]{1,15}) ([0-9a-f-]{36})$/.exec(Buffer.from(token, "base64url").toString("utf8")) ?? [];
  if (ms && id && isId(id)) return { at: new Date(Number(ms)), id };
  throw new Fault("invalid", "the page token is not one that this call has given", {
    reason: "PAGE_TOKEN_INVALID",
    fields: [{ field: "page_token", description: "leave it out to begin at the first page" }],
  });
}

/** Of the page that begins after the place; empty without one. */
export function tokenOf(place: Place | undefined): string {
  if (!place) return "";
  const { at, id } = place;
  return Buffer.from(`${at.getTime()} ${id}`, "utf8").toString("base64url");
}
