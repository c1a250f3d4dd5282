import { readFileSync, readdirSync } from "node:fs";

/** The processor time, user and system, that processes have used so far, in milliseconds. Linux. */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (stat(pid)?.cpuMs ?? 0), 0);
}

/** Resident memory of the processes together, in MB. */
export function residentMb(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (stat(pid)?.residentMb ?? 0), 0);
}

/** Every PostgreSQL server process on this machine whose command line or parent names the text. */
export function postgresPids(named: string): number[] {
  const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  const servers = all.filter((pid) => commandOf(pid).includes(named));
  return all.filter((pid) => servers.includes(pid) || servers.includes(stat(pid)?.parent ?? -1));
}

function stat(pid: number) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold spaces.
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [, parent = 0] = fields;
    const [user = 0, system = 0] = fields.slice(11, 13);
    const ticksPerMs = 100 / 1_000;
    return {
      parent,
      cpuMs: (user + system) / ticksPerMs,
      residentMb: ((fields[21] ?? 0) * 4_096) / 1e6,
    };
  } catch {
    return undefined; // it has ended
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // it has ended
  }
}
