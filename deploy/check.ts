// Everything that can be said of the tree without running it: format, types, lint, layers and contracts.
// Each check runs even when one before it failed, so that one run shows all there is to mend.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

const checks: readonly { name: string; run: () => string | undefined }[] = [
  { name: "format", run: () => command("oxfmt", "--check") },
  { name: "types", run: () => command("tsc") },
  { name: "lint", run: () => command("oxlint", "--type-aware", "--deny-warnings") },
  { name: "layers", run: () => command("vitest", "run", "layers.test.ts") },
  { name: "buf lint", run: () => command("buf", "lint") },
  {
    name: "buf format",
    run: () => command("buf", "format", "--exit-code", "-d", "--path", "proto/soldier"),
  },
  { name: "buf breaking", run: breaking },
  { name: "generated code", run: generated },
];

let failed = 0;
for (const { name, run } of checks) {
  const started = performance.now();
  const problem = run();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${problem === undefined ? "ok    " : "FAILED"} ${name} (${seconds} s)\n`);
  if (problem !== undefined) {
    process.stdout.write(`${problem.trimEnd()}\n`);
    failed += 1;
  }
}
process.exitCode = failed === 0 ? 0 : 1;

function command(program: string, ...args: string[]): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: "utf8",
  });
  if (error) return `${program} did not start: ${error.message}`;
  return status === 0 ? undefined : stdout + stderr;
}

/** Old clients must keep working: against the main branch, or on it against the commit before. */
function breaking(): string | undefined {
  const commit = (ref: string) =>
    spawnSync("git", ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`], {
      cwd: root,
      encoding: "utf8",
    }).stdout.trim();
  const head = commit("HEAD");
  const base = [commit("origin/main"), commit("HEAD~1")].find((ref) => ref && ref !== head);
  if (!base) return undefined; // the first commit has nothing to break
  const known = spawnSync("git", ["cat-file", "-e", `${base}:buf.yaml`], { cwd: root });
  return known.status === 0
    ? command("buf", "breaking", "--against", `.git#ref=${base}`)
    : undefined;
}

/** What is committed under libs/proto/src is what the contracts generate. */
function generated(): string | undefined {
  const fresh = mkdtempSync(join(tmpdir(), "soldier-generated-"));
  try {
    const problem = command("buf", "generate", "--output", fresh);
    if (problem !== undefined) return problem;
    const [now, then] = [join(root, "libs/proto/src"), join(fresh, "libs/proto/src")];
    const names = [...new Set([...filesIn(now), ...filesIn(then)])].toSorted();
    const stale = names.filter((name) => read(join(now, name)) !== read(join(then, name)));
    return stale.length === 0 ? undefined : `run "npm run gen"; these differ:\n${stale.join("\n")}`;
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
