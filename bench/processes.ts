import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The processor time, user and system, that processes have used so far, in milliseconds. Linux. */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (stat(pid)?.cpuMs ?? 0), 0);
}

/** Resident memory of the processes together, in MB. */
export function residentMb(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (stat(pid)?.residentMb ?? 0), 0);
}

/** The processes of the PostgreSQL server whose data are in the directory or below it. */
export function postgresPids(directory: string): number[] {
  const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  // A server stays in its data directory. Programs that start one may do so, too, and don't count.
  return all.filter((pid) => {
    const home = homeOf(pid);
    return (
      (home === directory || home.startsWith(`${directory}/`)) && programOf(pid) === "postgres"
    );
  });
}

function stat(pid: number) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold spaces.
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [user = 0, system = 0] = fields.slice(11, 13);
    const ticksPerMs = 100 / 1_000;
    return {
      cpuMs: (user + system) / ticksPerMs,
      residentMb: ((fields[21] ?? 0) * 4_096) / 1e6,
    };
  } catch {
    return undefined; // it has ended
  }
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return ""; // it has ended
  }
}

function homeOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return ""; // it has ended, or is not ours to look at
  }
}
