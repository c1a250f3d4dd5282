import { join } from "node:path";
import { type Running, runTogether } from "@soldier/chassis/run";
import type { RunOptions } from "@soldier/chassis/host";
import { type Document, overridden } from "@soldier/chassis/settings";
import { embeddedPostgres } from "@soldier/storage/embedded";
import { services } from "./services.ts";

export interface OneProcessOptions extends Omit<RunOptions, "settings"> {
  /** What was set; whatever stands at its default is replaced by what a laptop has. */
  readonly settings: Document;
  /** Holds the database and the log. */
  readonly directory: string;
  /** Where the example agents' tools are. */
  readonly backendUrl: string;
}

/**
 * All services in this process: an embedded PostgreSQL unless another is set, events straight from
 * the outbox to those who follow, the log in a file.
 */
export async function startOneProcess(options: OneProcessOptions): Promise<Running> {
  const { settings, directory, backendUrl, ...run } = options;
  await using opened = new AsyncDisposableStack();
  let document = withDefault(settings, ["log", "destination"], join(directory, "soldier.log"));
  document = withDefault(
    document,
    ["events", "url"],
    "inproc://local?consumers=audit,memory,profile",
  );
  document = withDefault(document, ["session", "cache"], "none");
  document = withDefault(document, ["alignment", "bundle_spares"], "none");
  document = withBackend(document, backendUrl);
  if (isDefault(document, ["postgres", "url"])) {
    const database = opened.use(await embeddedPostgres({ directory: join(directory, "postgres") }));
    document = withDefault(document, ["postgres", "url"], database.url);
  }
  const running = opened.use(await runTogether(services, { ...run, settings: document }));
  const all = opened.move();
  return { ...running, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Lets tools reach the example backend, which is at a private address. */
export function withBackend(document: Document, backendUrl: string): Document {
  return overridden(
    document,
    {
      alignment: {
        tools: { allowed_private_hosts: [new URL(backendUrl).host] },
        tool_settings: { example_backend: backendUrl },
      },
    },
    "the local start",
  );
}

/** Whether nobody but default.toml has set it. */
export function isDefault(document: Document, [table, key]: readonly [string, string]): boolean {
  const source = document.sources.get(`${table}.${key}`);
  return source === undefined || source.endsWith("default.toml");
}

export function withDefault(
  document: Document,
  path: readonly [string, string],
  value: string,
): Document {
  const [table, key] = path;
  return isDefault(document, path)
    ? overridden(document, { [table]: { [key]: value } }, "the local start")
    : document;
}
