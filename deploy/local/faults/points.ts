import { existsSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/**
 * Points that are armed: one file for each point and process, in a folder that the run and the
 * processes share. Whoever passes the point next takes its file away, and does what the point does.
 */
export interface Points {
  readonly directory: string;
  arm(point: string, process: string): void;
  /** Resolves to true once somebody has passed it; to false, disarmed, when nobody has in that time. */
  passed(point: string, process: string, patienceMs: number): Promise<boolean>;
}

export function openPoints(directory: string): Points {
  mkdirSync(directory, { recursive: true });
  return {
    directory,
    arm: (point, process) => writeFileSync(fileOf(directory, point, process), ""),
    async passed(point, process, patienceMs) {
      const file = fileOf(directory, point, process);
      for (const end = performance.now() + patienceMs; performance.now() < end; await pause(5))
        if (!existsSync(file)) return true;
      rmSync(file, { force: true });
      return false;
    },
  };
}

/** Whether the point was armed for this process and no one has passed it before. */
export function isTaken(directory: string, point: string, process: string): boolean {
  const file = fileOf(directory, point, process);
  if (!existsSync(file)) return false;
  try {
    unlinkSync(file);
    return true;
  } catch {
    return false; // disarmed a moment ago
  }
}

function fileOf(directory: string, point: string, process: string): string {
  return join(directory, `${point}@${process}`);
}
