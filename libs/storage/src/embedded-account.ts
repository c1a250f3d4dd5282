import { readFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Whom the server runs as when we are root, which PostgreSQL refuses to be. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Undefined when this process is an ordinary user: the server then runs as the same. For root it
 * is the owner of the directory, or of the nearest parent that exists, so that a clone of somebody's
 * stays usable by them; when that is root too, "nobody" or the first ordinary account that the
 * machine has. initdb wants the account to be in /etc/passwd; none is added.
 */
export async function accountFor(directory: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = await ordinaryAccounts();
  const owner = await ownerOf(directory);
  return (
    accounts.find(({ uid }) => uid === owner) ??
    accounts.find(({ name }) => name === "nobody") ??
    accounts[0]
  );
}

/** Whether the account may pass through the folder and every one above it. */
export async function canReach(folder: string, account: Account | undefined): Promise<boolean> {
  if (!account) return true;
  for (let at = await realpath(folder); ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const searchBit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & searchBit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

async function ownerOf(path: string): Promise<number> {
  try {
    return (await stat(path)).uid;
  } catch (error) {
    if (path === dirname(path)) throw error;
    return await ownerOf(dirname(path));
  }
}

async function ordinaryAccounts(): Promise<readonly (Account & { name: string })[]> {
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n");
  return lines
    .map((line) => line.split(":"))
    .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0);
}
