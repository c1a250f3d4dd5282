import { join } from "node:path";
import type { Document } from "@soldier/chassis/settings";
import { openApi } from "@soldier/cli/api";
import { apply } from "@soldier/cli/apply";
import { mintToken } from "@soldier/cli/token";

/** The agent that a fresh start can be asked. */
export const demoAgent = "shop";

const examples = join(import.meta.dirname, "../../examples");

/** For the laptop's owner: everything, in the demo tenant, for a month. */
export function demoToken(settings: Document): Promise<string> {
  const roles = ["chat", "delegate", "operator"];
  return mintToken(settings, { tenant: "demo", subject: "you", roles, hours: 24 * 30 });
}

/** Brings the example agent into the demo tenant, as a user would, and makes it live. */
export async function installDemoAgent(url: string, token: string): Promise<void> {
  const call = openApi({ url, token, agent: demoAgent });
  await apply(call, join(examples, demoAgent), { dryRun: false, publish: true });
}
