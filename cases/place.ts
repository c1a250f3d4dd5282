import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedPostgres } from "@soldier/storage/embedded";

/** A database for as long as it is held: the one given, or an embedded PostgreSQL of its own. */
export async function openDatabase(
  given: string | undefined,
  opened: AsyncDisposableStack,
): Promise<string> {
  if (given) return given;
  const directory = await mkdtemp(join(tmpdir(), "soldier-cases-"));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o755); // the server's account may be another than ours
  return opened.use(await embeddedPostgres({ directory })).url;
}
