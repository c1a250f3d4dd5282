import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";

/** Opaque to clients; empty on the last page. */
export function pageToken(next: string | undefined): string {
  return next === undefined ? "" : Buffer.from(next, "utf8").toString("base64url");
}

/** The customer after whom a page begins; undefined for the first. Throws "invalid" for other texts. */
export function customerAfter(token: string): string | undefined {
  return read(token, isId);
}

/** The file after which a page begins; as above. */
export const assetAfter = customerAfter;

/** The instant, in milliseconds, before which a page begins; as above. */
export function instantAfter(token: string): string | undefined {
  return read(token, (text) => /^-?\d{1,15}$/.test(text));
}

function read(token: string, valid: (text: string) => boolean): string | undefined {
  if (token === "") return undefined;
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (valid(text)) return text;
  throw new Fault("invalid", "page_token is not from an earlier page", {
    reason: "PAGE_TOKEN_INVALID",
    fields: [{ field: "page_token", description: "must be a next_page_token" }],
  });
}
