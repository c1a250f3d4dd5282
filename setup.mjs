// Installs what the repository needs when it is missing or older than the lock file, then runs the
// command given. Plain JavaScript without dependencies: it is what runs first on a fresh clone,
// under whatever Node (20 or newer) the machine has. Everything after it runs on the project's own.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const root = import.meta.dirname;
const stamp = join(root, "node_modules", ".soldier-installed");
const lock = join(root, "pnpm-lock.yaml");

if (Number(process.versions.node.split(".")[0]) < 20) {
  console.error(`Soldier needs Node 20 or newer; this is ${process.version}.`);
  process.exit(1);
}

if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(lock).mtimeMs) install();

const [program, ...words] = process.argv.slice(2);
if (program) run(program, words);

function install() {
  console.error("Installing dependencies (once, about a minute) ...");
  const { status } = spawnSync(
    "npx",
    ["-y", "pnpm@12.21.0", "install", "--frozen-lockfile", "--loglevel=error"],
    // Standard output belongs to the command that comes after.
    { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" },
  );
  if (status !== 0) {
    console.error(
      "The install failed; its reason is above. Fix it and run the same command again.",
    );
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, "");
  const now = new Date();
  utimesSync(stamp, now, now);
}

function run(command, args) {
  const bin = join(root, "node_modules", ".bin");
  const child = spawn(command, args, {
    stdio: "inherit",
    // A process that starts again has its modules compiled already: a third of its start.
    env: {
      NODE_COMPILE_CACHE: join(root, "node_modules", ".compiled"),
      ...process.env,
      PATH: `${bin}${delimiter}${process.env.PATH}`,
    },
    shell: process.platform === "win32",
  });
  // The terminal sends SIGINT to the whole group; the child decides when to leave.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
  child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
