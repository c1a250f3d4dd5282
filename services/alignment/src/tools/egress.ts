import { lookup } from "node:dns/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { Fault } from "@soldier/kernel/fault";

/** Addresses that are nobody's public server: a tool must not be a way into our own network. */
const privateAddresses = new BlockList();
for (const [address, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32], // a cloud's own channel to its machines, on a public number
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  privateAddresses.addSubnet(address, prefix, "ipv4");
for (const [address, prefix] of [
  ["::", 96], // with ::1, and IPv4 in its oldest clothes
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
  ["5f00::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const)
  privateAddresses.addSubnet(address, prefix, "ipv6");

export function isPrivate(address: string): boolean {
  const [plain = ""] = address.split("%"); // without its zone
  const family = isIP(plain);
  // An IPv4 address in IPv6 clothes is checked as IPv4 by the block list.
  return family === 0 || privateAddresses.check(plain, family === 6 ? "ipv6" : "ipv4");
}

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export type Resolve = (host: string) => Promise<readonly Address[]>;

/** By the system's resolver. */
export const systemResolve: Resolve = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};

/**
 * The addresses that a request to this URL may be sent to, all of them looked at: the connection is
 * made to one of these and to no other, whatever a second look-up would say. Throws EGRESS_REFUSED for
 * a private address unless host:port is allowed, TOOL_UNREACHABLE for a name that has none.
 */
export async function admitted(
  url: URL,
  allowed: ReadonlySet<string>,
  resolve: Resolve,
): Promise<readonly Address[]> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  let addresses: readonly Address[];
  try {
    addresses =
      family === 0 ? await resolve(host) : [{ address: host, family: family === 6 ? 6 : 4 }];
  } catch (error) {
    throw new Fault("unavailable", "the tool's host has no address", {
      reason: "TOOL_UNREACHABLE",
      cause: error,
    });
  }
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  if (allowed.has(`${url.hostname}:${port}`)) return addresses;
  if (addresses.some(({ address }) => isPrivate(address)))
    throw new Fault("forbidden", "the tool's address is private; an operator can allow it", {
      reason: "EGRESS_REFUSED",
    });
  return addresses;
}

export interface EgressOptions {
  /** host:port of private addresses that tools may reach. */
  readonly allowedPrivateHosts: readonly string[];
  readonly resolve?: Resolve;
}

/** The only way out for tools of every kind. */
export interface Egress {
  /**
   * A look-up for one connection to this URL: it answers with the addresses that were admitted and
   * asks nobody again. Throws as admitted() does, or with the signal's reason.
   */
  lookup(url: URL, signal: AbortSignal): Promise<LookupFunction>;
  /** Keep connections, each made to an address that was admitted. */
  readonly agents: { readonly "http:": HttpAgent; readonly "https:": HttpsAgent };
}

export function egress(options: EgressOptions, opened: AsyncDisposableStack): Egress {
  const { allowedPrivateHosts, resolve = systemResolve } = options;
  const allowed = new Set(allowedPrivateHosts);
  const agents = {
    "http:": new HttpAgent({ keepAlive: true }),
    "https:": new HttpsAgent({ keepAlive: true }),
  };
  opened.defer(() => {
    agents["http:"].destroy();
    agents["https:"].destroy();
  });
  return {
    agents,
    lookup: async (url, signal) =>
      pinned(await untilAborted(admitted(url, allowed, resolve), signal)),
  };
}

function pinned(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, [...addresses]);
    else if (first) callback(null, first.address, first.family);
    else callback(new Error("no address"), "", 4);
  };
}

/** The work, or the signal's reason if that comes first; the work then goes on unheard. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
