import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { Fault } from "@soldier/kernel/fault";

/** Addresses that are nobody's public server: a tool must not be a way into our own network. */
const privateAddresses = new BlockList();
for (const [address, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  privateAddresses.addSubnet(address, prefix, "ipv4");
for (const [address, prefix] of [
  ["::", 128],
  ["::1", 128],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  privateAddresses.addSubnet(address, prefix, "ipv6");

export function isPrivate(address: string): boolean {
  // An IPv4 address in IPv6 clothes is checked as IPv4 by the block list.
  return privateAddresses.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
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
