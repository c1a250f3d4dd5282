import { Fault } from "@soldier/kernel/fault";

const defaultSize = 50;

/** 0 asks for the default. */
export function pageSize(asked: number): number {
  return asked === 0 ? defaultSize : asked;
}

/** The key in a token; undefined for the first page. Throws the Fault "invalid" for a foreign token. */
export function keyIn(token: string, shape: RegExp): string | undefined {
  if (token === "") return undefined;
  const key = Buffer.from(token, "base64url").toString("utf8");
  if (shape.test(key) && tokenOf(key) === token) return key;
  throw new Fault("invalid", "the page token is not one that this call has given", {
    reason: "PAGE_TOKEN_INVALID",
    fields: [{ field: "page_token", description: "leave it out to begin at the first page" }],
  });
}

/** Of the page that begins after the key; empty without one. */
export function tokenOf(key: string | number | undefined): string {
  return key === undefined ? "" : Buffer.from(String(key), "utf8").toString("base64url");
}
