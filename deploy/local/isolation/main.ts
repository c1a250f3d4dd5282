// npm run prove:isolation: no tenant sees or changes anything of another, by any RPC, or this ends with 1.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedPostgres } from "@soldier/storage/embedded";
import { services } from "../services.ts";
import { prove } from "./prove.ts";

process.exitCode = await run();

async function run(): Promise<number> {
  await using opened = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "soldier-isolation-"));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const database = opened.use(await embeddedPostgres({ directory }));
  const { failed } = await prove({
    databaseUrl: database.url,
    services,
    tell: (line) => process.stdout.write(`${line}\n`),
    only: process.argv[2] ?? "",
  });
  return failed > 0 ? 1 : 0;
}
