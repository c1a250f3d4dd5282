import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Running } from "@soldier/chassis/run";
import { overridden, readSettings } from "@soldier/chassis/settings";
import type { Tree } from "@soldier/chassis/settings-tree";
import { mintToken, type TokenWish } from "@soldier/cli/token";
import { type ExampleBackend, startExampleBackend } from "@soldier/examples/backend";
import { type Link, openLink } from "@soldier/storage/testing-link";
import { testDatabase } from "@soldier/storage/testing";
import { demoToken, installDemoAgent } from "../demo.ts";
import { startOneProcess } from "../one-process.ts";

export const settings = readSettings({ env: { SOLDIER_ENV: "test" } });
const [embedded] = testDatabase();

/** What a gateway has answered; of a failure the reason and what comes with it. */
export interface Answered {
  readonly status: number;
  readonly sessionId: string;
  readonly turnId: string;
  readonly turnNumber: number;
  readonly reply: string;
  readonly replayed: boolean;
  readonly error: { readonly reason: string; readonly message: string } | undefined;
}

export interface Said {
  readonly url: string;
  readonly token: string;
  /** As JSON; a text is sent as it is. */
  readonly body: object | string;
  readonly key?: string;
}

/** One POST /v1/chat. */
export async function chat({ url, token, body, key }: Said): Promise<Answered> {
  const res = await fetch(`${url}/v1/chat`, {
    method: "POST",
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      "content-type": "application/json",
      ...(key && { "idempotency-key": key }),
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const answer = (await res.json()) as Omit<Answered, "status">; // the contract under test
  return { ...answer, status: res.status };
}

/** A resource of the public API. */
export async function read<T>(
  { url, token }: Pick<Said, "url" | "token">,
  path: string,
): Promise<T> {
  const res = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
  return (await res.json()) as T; // the contract under test
}

/** What is looked at of a turn's record, which arrives moments after the turn. */
export interface Explained {
  readonly degradations?: readonly string[];
  readonly toolCalls?: readonly object[];
}

export async function explained(
  desk: Pick<Said, "url" | "token">,
  turnId: string,
): Promise<Explained | undefined> {
  const path = `/v1/turns/${turnId}/explanation`;
  return (await read<{ record?: Explained }>(desk, path)).record;
}

/** A token of the demo tenant's customer, but for what is said otherwise. */
export function tokenFor(wish: Partial<TokenWish> = {}): Promise<string> {
  return mintToken(settings, {
    tenant: "demo",
    subject: "ada",
    roles: ["chat"],
    hours: 1,
    ...wish,
  });
}

export interface Surroundings {
  readonly directory: string;
  readonly backend: ExampleBackend;
  /** A database of its own, by a link that can be cut. */
  readonly link: Link;
  readonly databaseUrl: string;
}

export async function surroundings(opened: AsyncDisposableStack): Promise<Surroundings> {
  if (!embedded) throw new Error("the embedded PostgreSQL is always there");
  const directory = mkdtempSync(join(tmpdir(), "soldier-e2e-"));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const databaseUrl = opened.use(await embedded.open()).url;
  const link = opened.use(await openLink(databaseUrl));
  return {
    directory,
    databaseUrl,
    link,
    backend: opened.use(await startExampleBackend({ port: 0 })),
  };
}

export interface Desk extends Surroundings, AsyncDisposable {
  readonly running: Running;
  readonly url: string;
  /** Of the tenant's operator. */
  readonly token: string;
}

/** The shop's desk in one process, with an embedder that needs no model, and other tables of settings. */
export async function openDesk(more: Tree = {}): Promise<Desk> {
  await using opened = new AsyncDisposableStack();
  const around = await surroundings(opened);
  const test = {
    postgres: { url: around.link.url },
    server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } },
    embedder: { provider: "deterministic" },
  };
  const running = opened.use(
    await startOneProcess({
      settings: overridden(settings, { ...test, ...more }, "the test"),
      directory: around.directory,
      backendUrl: around.backend.url,
    }),
  );
  const url = running.url ?? "";
  const token = await demoToken(settings);
  await installDemoAgent(url, token);
  const all = opened.move();
  return { ...around, running, url, token, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
