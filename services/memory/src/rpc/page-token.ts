import { Fault } from "@soldier/kernel/fault";

/** Opaque to clients: the revision before which the next page begins. */
export function pageToken(revision: number): string {
  return Buffer.from(`r${revision}`, "utf8").toString("base64url");
}

/** The revision in a page token; undefined for the first page. Throws "invalid" for any other text. */
export function revisionOf(token: string): number | undefined {
  if (token === "") return undefined;
  const [, digits] = /^r(\d{1,15})$/.exec(Buffer.from(token, "base64url").toString("utf8")) ?? [];
  if (digits === undefined)
    throw new Fault("invalid", "page_token is not from an earlier page", {
      reason: "PAGE_TOKEN_INVALID",
      fields: [{ field: "page_token", description: "must be a next_page_token" }],
    });
  return Number(digits);
}
