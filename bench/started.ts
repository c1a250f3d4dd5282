import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Announcement, announcementSchema } from "@soldier/local/announcement";

export interface Started {
  readonly announcement: Announcement;
  stop(): Promise<void>;
}

/** Starts as a user would, in a process of its own. */
export async function startHost({
  way,
  directory,
  env,
  profile,
}: {
  readonly way: string;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where a CPU profile goes; undefined for none. */
  readonly profile?: string | undefined;
}): Promise<Started> {
  const profiled = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
  const host = [...profiled, join(import.meta.dirname, "host.ts"), way, directory];
  const child = spawn(process.execPath, host, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", (code) => reject(new Error(`the ${way} host ended with ${code}`)));
  });
  const file: unknown = JSON.parse(readFileSync(join(directory, "local.json"), "utf8"));
  return {
    announcement: announcementSchema.parse(file),
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Publishes an agent's document. */
export async function install({ url, token }: Announcement, document: unknown): Promise<void> {
  const res = await fetch(`${url}/v1/agents:apply`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ document, publish: true }),
  });
  if (!res.ok) throw new Error(`the bench's agent was refused: ${await res.text()}`);
}
