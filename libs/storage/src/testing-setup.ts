import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { embeddedPostgres } from "./embedded.ts";
import { type Backends, discoverBackends } from "./testing-discovery.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** What testing.ts works with; `embedded` starts the server on its first GET and answers its URL. */
    backends: Backends & { readonly embedded: string };
  }
}

/**
 * Vitest's globalSetup: finds the backends once for a run, and keeps one embedded PostgreSQL for it,
 * started when a suite first asks. Runs without such a suite don't pay for it.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = new AsyncDisposableStack();
  let url: Promise<string> | undefined;
  const server = createServer((_req, res) => {
    url ??= startEmbedded(started);
    url.then(
      (text) => res.end(text),
      (error: unknown) => res.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  const embedded = `http://127.0.0.1:${address.port}`;
  project.provide("backends", { ...(await discoverBackends(started)), embedded });
  return async () => {
    server.closeAllConnections();
    server.close();
    await started.disposeAsync();
  };
}

async function startEmbedded(started: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "soldier-test-"));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o755);
  const server = started.use(await embeddedPostgres({ directory }));
  return server.url;
}
