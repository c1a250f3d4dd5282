import { Fault } from "@soldier/kernel/fault";

/** What a list request asks for. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** The next rows of a list that is ordered by a key. */
export interface Page {
  /** The last key of the page before; undefined for the first. */
  readonly after: string | undefined;
  readonly limit: number;
}

const sizeDefault = 50;

export function pageOf({ pageSize, pageToken }: PageRequest): Page {
  return { after: pageToken ? keyIn(pageToken) : undefined, limit: pageSize || sizeDefault };
}

/** The token of the page after the one that ends with this key. */
export function tokenOf(key: string): string {
  return Buffer.from(JSON.stringify([key]), "utf8").toString("base64url");
}

function keyIn(token: string): string {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (Array.isArray(parsed) && parsed.length === 1 && typeof parsed[0] === "string")
      return parsed[0];
  } catch {
    // Not JSON: told below like any other text that is no token of ours.
  }
  throw new Fault("invalid", "page_token is not one that a list has given", {
    fields: [{ field: "page_token", description: "take next_page_token of the page before" }],
  });
}
