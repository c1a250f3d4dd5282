import type { Service } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { nearest } from "@soldier/kernel/nearest";

// Each is loaded only when it is the one to run.
const services: Readonly<Record<string, () => Promise<Service>>> = {
  alignment: async () => (await import("@soldier/alignment/service")).alignment,
  audit: async () => (await import("@soldier/audit/service")).audit,
  "chat-gateway": async () => (await import("@soldier/chat-gateway/service")).chatGateway,
  config: async () => (await import("@soldier/config/service")).config,
  memory: async () => (await import("@soldier/memory/service")).memory,
  profile: async () => (await import("@soldier/profile/service")).profile,
  session: async () => (await import("@soldier/session/service")).session,
};

export const serviceNames = Object.keys(services);

/** Runs one service until it is told to stop, and ends the process. Throws a Fault for no such name. */
export async function serve(name: string): Promise<void> {
  const load = Object.hasOwn(services, name) ? services[name] : undefined;
  if (!load) {
    const meant = nearest(name, serviceNames);
    const hint = meant === undefined ? "" : `did you mean ${meant}? `;
    throw new Fault(
      "not-found",
      `no service is called "${name}"; ${hint}there are ${serviceNames.join(", ")}`,
      { reason: "SERVICE_UNKNOWN" },
    );
  }
  // The other commands do without the chassis' servers, and begin sooner.
  const { main } = await import("@soldier/chassis/main");
  const { runAlone } = await import("@soldier/chassis/run");
  const { readSettings } = await import("@soldier/chassis/settings");
  await main(async () => runAlone(await load(), { settings: readSettings() }));
}
