import { Fault } from "@soldier/kernel/fault";

/** What a list request asks for. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** The next rows of a list that is ordered by keys. */
export interface Page {
  /** Keys of the last row of the page before; undefined for the first page. */
  readonly after: readonly string[] | undefined;
  readonly limit: number;
}

const sizeDefault = 50;

/** The page that is asked for. `shapes` are what the list's keys look like. */
export function pageOf(
  { pageSize, pageToken }: PageRequest,
  shapes: readonly RegExp[] = [/^/],
): Page {
  const after = pageToken ? keysIn(pageToken) : undefined;
  const fits = shapes.length === after?.length && shapes.every((s, i) => s.test(after[i] ?? ""));
  if (pageToken && !fits)
    throw new Fault("invalid", "page_token is not one that this list has given", {
      fields: [{ field: "page_token", description: "take next_page_token of the page before" }],
    });
  return { after, limit: pageSize || sizeDefault };
}

/** The token of the page after the one that ends with the row of these keys. */
export function tokenOf(...keys: readonly string[]): string {
  return Buffer.from(JSON.stringify(keys), "utf8").toString("base64url");
}

function keysIn(token: string): readonly string[] | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    return Array.isArray(parsed) && parsed.every((key) => typeof key === "string")
      ? parsed
      : undefined;
  } catch {
    return undefined; // not JSON, so not ours
  }
}
