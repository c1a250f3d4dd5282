import { existsSync, readFileSync } from "node:fs";
import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";

/** Where the public API is, and by which token to ask. */
export interface Connection {
  readonly url: string;
  readonly token: string;
  /** Whom to talk to when nobody is named; only a local start says so. */
  readonly agent: string | undefined;
}

/** What was said by flags or variables. */
export interface Said {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
}

const address = z.url({ protocol: /^https?$/ });
const local = z.object({ url: address, token: z.string().min(1), agent: z.string().optional() });

/**
 * What was said, and for the rest what the local start has left in this file. Throws a Fault that
 * says what to do when there is neither.
 */
export function connectionFrom(said: Said, localFile: string): Connection {
  const left = leftIn(localFile);
  const url = said.url ?? left?.url;
  if (url === undefined)
    throw new Fault(
      "unavailable",
      "Soldier does not run here. Start it with `npm start`, or say where it is by --url and --token (SOLDIER_URL, SOLDIER_TOKEN)",
      { reason: "NOTHING_RUNNING" },
    );
  if (!address.safeParse(url).success)
    throw new Fault("invalid", `${url} is no address like http://127.0.0.1:8080`, {
      reason: "URL_INVALID",
    });
  // A token is for the place that it was made for.
  const here = left && left.url === url ? left : undefined;
  const token = said.token ?? here?.token;
  if (token === undefined)
    throw new Fault("unauthenticated", `say by which token to ask ${url}: --token, SOLDIER_TOKEN`, {
      reason: "TOKEN_MISSING",
    });
  return { url, token, agent: here?.agent };
}

function leftIn(path: string): z.output<typeof local> | undefined {
  if (!existsSync(path)) return undefined;
  const read = local.safeParse(jsonIn(path));
  if (read.success) return read.data;
  throw new Fault("invalid", `${path} is not what \`npm start\` leaves; start again`, {
    reason: "LOCAL_FILE_INVALID",
  });
}

function jsonIn(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // The schema says that it lacks everything.
  }
}
