// Loaded before a service of a fault run (node --import): changes its sources as they come in.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { controls, failpoints, type Mutation } from "./mutations.ts";

declare global {
  /** Does at the point what it was armed for, as often as it was armed for it. */
  var faultPoint: ((name: string) => void) | undefined;
}

const armed = z
  .strictObject({ control: z.string(), points: z.record(z.string(), z.number()) })
  .parse(JSON.parse(process.env["FAULT_RUN"] ?? ""));

const wanted: readonly Mutation[] = [
  ...failpoints.filter(({ name }) => (armed.points[name] ?? 0) > 0),
  ...(controls.find(({ name }) => name === armed.control)?.mutations ?? []),
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
  if (Math.random() >= (armed.points[name] ?? 0)) return;
  const act = failpoints.find((point) => point.name === name)?.act;
  process.stderr.write(`${JSON.stringify({ faultPoint: name, at: Date.now() })}\n`);
  if (act === "lose-answer") throw new Error("the answer was lost on purpose");
  process.kill(process.pid, "SIGKILL");
};
