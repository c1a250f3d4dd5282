import type { Announcement } from "@soldier/local/announcement";
import { percentile } from "./load.ts";
import { residentMb } from "./processes.ts";

export interface MemoryMb {
  /** Median of what was seen. */
  readonly resident: number;
  /** The least that was seen: what stayed after a collection. */
  readonly heap: number;
}

export interface MemoryWatch extends Disposable {
  /** Looks once a second from now on, unless it does already. */
  begin(): void;
  /** Looks no more and forgets what it saw. */
  pause(): void;
  /** What it saw of each process; it looks no more. */
  end(): Readonly<Record<string, MemoryMb>>;
}

/** Watches the memory of every process of a mesh. */
export function watchMemory(processes: Announcement["processes"]): MemoryWatch {
  const seen = new Map<string, { resident: number[]; heap: number[] }>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    for (const [name, { pid, admin_url: url }] of Object.entries(processes)) {
      const here = seen.get(name) ?? { resident: [], heap: [] };
      seen.set(name, here);
      here.resident.push(residentMb([pid]));
      void heapMb(url).then(
        (heap) => heap !== undefined && here.heap.push(heap),
        () => {}, // too busy to answer: the next look counts
      );
    }
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    begin() {
      if (timer) return;
      look();
      timer = setInterval(look, 1_000);
    },
    pause() {
      stop();
      seen.clear();
    },
    end() {
      if (seen.size === 0) look();
      stop();
      return Object.fromEntries(
        [...seen].map(([name, { resident, heap }]) => [
          name,
          {
            resident: Math.round(percentile(resident, 0.5)),
            heap: heap.length > 0 ? Math.round(Math.min(...heap)) : NaN,
          },
        ]),
      );
    },
    [Symbol.dispose]: stop,
  };
}

async function heapMb(adminUrl: string): Promise<number | undefined> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const line = /^nodejs_heap_size_used_bytes(?:\{.*\})? (\S+)$/m.exec(text);
  return line?.[1] === undefined ? undefined : Number(line[1]) / 1e6;
}
