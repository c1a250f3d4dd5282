import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { modelTables } from "@soldier/ai/model-settings";
import { openModels } from "@soldier/ai/models";
import { type Document, settingsFor } from "@soldier/chassis/settings";
import { z } from "zod";

/** What `soldier chat` and the benches read to find what runs here: `.soldier/local.json`. */
export const announcementSchema = z.object({
  url: z.string(),
  token: z.string(),
  agent: z.string(),
  backend_url: z.string(),
  /** Every process of it, with its /metrics. */
  processes: z.record(z.string(), z.object({ pid: z.int(), admin_url: z.string() })),
});

export type Announcement = z.output<typeof announcementSchema>;

export function announce(directory: string, announcement: Announcement): void {
  mkdirSync(directory, { recursive: true });
  // The token in it opens the whole demo tenant.
  writeFileSync(join(directory, "local.json"), `${JSON.stringify(announcement, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** What a person sees once everything is up. */
export function banner(options: {
  readonly announcement: Announcement;
  readonly settings: Document;
  readonly log: string;
  readonly ways: string;
}): string {
  const { announcement, settings, log, ways } = options;
  const { url, token, agent } = announcement;
  const body = JSON.stringify({ agent, message: "Where is my order L-10425?" });
  return `
  Soldier is at ${url}  (${ways}; agent "${agent}")

  Talk to it:     npm run chat
  Or by HTTP:     curl -s ${url}/v1/chat \\
                    -H "authorization: Bearer ${token}" \\
                    -H "content-type: application/json" \\
                    -d '${body}'

  ${voice(settings)}
  Change it:      edit examples/${agent}/*.yaml, then npm run soldier -- apply examples/${agent}
  Logs:           ${log}
  Stop:           Ctrl-C; what was said is kept for the next start
`;
}

function voice(settings: Document): string {
  const tables = settingsFor({ settings: modelTables }, settings);
  const writer = openModels(tables).for("generate");
  return writer
    ? `Its voice:      ${writer.id} judges and writes`
    : `Its voice:      keyless: scores judge and templates answer. For a model that judges and
                  writes, stop and start it so: ANTHROPIC_API_KEY=… npm start`;
}
