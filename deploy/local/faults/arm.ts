// Loaded before a service of a fault run (node --import): changes its sources as they come in.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { controls, failpoints, type Mutation } from "./mutations.ts";
import { isTaken } from "./points.ts";

declare global {
  /** Does at the point what it is for, when it is armed. */
  var faultPoint: ((name: string) => void) | undefined;
}

const run = z
  .strictObject({
    process: z.string(),
    control: z.string(),
    /** Of the points that are armed. */
    directory: z.string(),
    stallMs: z.number(),
  })
  .parse(JSON.parse(process.env["FAULT_RUN"] ?? ""));

const wanted: readonly Mutation[] = [
  ...failpoints,
  ...(controls.find(({ name }) => name === run.control)?.mutations ?? []),
];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const mine = wanted.filter(({ file }) => url.endsWith(`/${file}`));
    if (mine.length === 0) return loaded;
    const source = readFileSync(fileURLToPath(url), "utf8");
    return { ...loaded, source: mine.reduce(changed, source) };
  },
});

function changed(source: string, { name, file, find, replace }: Mutation): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(`${name}: ${file} has its place ${parts.length - 1} times, not once`);
  return parts.join(replace);
}

globalThis.faultPoint = (name) => {
  if (!isTaken(run.directory, name, run.process)) return;
  switch (failpoints.find((point) => point.name === name)?.act) {
    case "lose-answer":
      // As the driver fails when the connection breaks before the answer has come.
      throw Object.assign(new Error("the answer was lost on purpose"), {
        code: "CONNECTION_CLOSED",
      });
    case "stall":
      // The whole process, as in a pause of the collector or of the machine: no timer, no socket.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, run.stallMs);
      return;
    case "die":
    case undefined:
      process.kill(process.pid, "SIGKILL");
  }
};
