import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** What a release left behind for the next one to keep to, of one service. */
const released = z.strictObject({
  /** Files that were applied, in their order. */
  migrations: z.array(z.string()),
  /** Each distinct statement that its stores sent, with its parameters' types as PostgreSQL numbers them; 0: unsaid. */
  statements: z.array(z.strictObject({ text: z.string(), types: z.array(z.int()) })),
});

export type Released = z.output<typeof released>;
export type ReleasedStatement = Released["statements"][number];

export function releasedFile(service: string): string {
  return join(import.meta.dirname, "released", `${service}.json`);
}

/** Undefined for a service that was in no release yet. */
export function readReleased(service: string): Released | undefined {
  const file = releasedFile(service);
  return existsSync(file) ? released.parse(JSON.parse(readFileSync(file, "utf8"))) : undefined;
}
