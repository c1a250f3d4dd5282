// Runs files of cases against the engine itself: the services in this process, a real PostgreSQL, tools
// over HTTP, and a model when one has a key.
//
//   npm run cases -- cases/behaviour.json
//   npm run cases -- FILE --only REL-01,REL-02 --area relations --json
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "commander";
import { readCaseFile } from "./case-file.ts";
import { memoryCasesIn } from "./memory-file.ts";
import { openDatabase } from "./place.ts";
import { openMemory, runMemoryCase } from "./run-memory-case.ts";
import { lineOf, type Outcome, runOne, sumOf } from "./run-file.ts";
import { openStage } from "./stage.ts";

interface Flags {
  readonly only?: string;
  readonly area?: string;
  readonly json?: boolean;
  readonly standIn?: boolean;
  readonly database?: string;
}

await new Command("cases")
  .description("runs cases of behaviour against the engine; exits with 1 when one fails")
  .argument("<files...>", "files of cases")
  .option("--only <ids>", "only these cases, with commas between them")
  .option("--area <area>", "only cases of this area")
  .option("--json", "what came of each case as JSON")
  .option("--stand-in", "a stand-in for the model, even where one is configured")
  .option("--database <url>", "a PostgreSQL to use instead of an embedded one")
  .action(run)
  .parseAsync()
  .catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2; // nothing was found out about the cases
  });

async function run(files: readonly string[], flags: Flags): Promise<void> {
  await using opened = new AsyncDisposableStack();
  let opening: ReturnType<typeof openStage> | undefined;
  const stage = () =>
    (opening ??= openStage(
      { databaseUrl: flags.database, standIn: flags.standIn ?? false },
      opened,
    ));
  const only = flags.only?.split(",").map((id) => id.trim());
  const wanted = (each: { readonly id: string; readonly area: string }) =>
    (!only || only.includes(each.id)) && (flags.area === undefined || each.area === flags.area);
  let openingMemory: ReturnType<typeof openMemory> | undefined;
  const memory = () =>
    (openingMemory ??= openDatabase(flags.database, opened).then((url) => openMemory(url, opened)));
  const outcomes: Outcome[] = [];
  const say = (line: string) => flags.json || process.stdout.write(`${line}\n`);
  for (const file of files) {
    const ofMemory = memoryCasesIn(JSON.parse(readFileSync(file, "utf8")));
    for (const each of ofMemory ?? []) {
      if (!wanted(each)) continue;
      const outcome = await runMemoryCase(each, memory);
      outcomes.push(outcome);
      say(lineOf(outcome));
    }
    if (ofMemory) continue;
    const cases = readCaseFile(file);
    if (typeof cases === "string") {
      say(`skip ${basename(file)} … ${cases}`);
      continue;
    }
    for (const each of cases) {
      if (!wanted(each)) continue;
      const outcome = await runOne(each, stage);
      outcomes.push(outcome);
      say(lineOf(outcome));
    }
  }
  if (flags.json)
    process.stdout.write(`${JSON.stringify({ sum: sumOf(outcomes), cases: outcomes }, null, 2)}\n`);
  else say(sumOf(outcomes));
  if (outcomes.some(({ outcome }) => outcome === "fail")) process.exitCode = 1;
}
