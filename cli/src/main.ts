import { once } from "node:events";
import { join } from "node:path";
import { readSettings, settingsFor } from "@soldier/chassis/settings";
import { type DeadLetterStream, openDeadLetters } from "@soldier/events/dead-letter-stream";
import { eventsSettings } from "@soldier/events/events-settings";
import { Command, InvalidArgumentError, Option } from "commander";
import { exportAgent } from "./agent-export.ts";
import { openApi } from "./api.ts";
import { apply } from "./apply.ts";
import { exportAudit, verifyAudit } from "./audit.ts";
import { erase, type Erasing } from "./erase.ts";
import { calibrateAgent } from "./calibrate.ts";
import { chat } from "./chat.ts";
import { connectionFrom, type Said } from "./connection.ts";
import { eachLetter, listedLetters, shownLetter } from "./dead-letters.ts";
import { explain } from "./explain.ts";
import { failureText } from "./failure.ts";
import type { MigrateFlags } from "./migrate.ts";
import { serve, serviceNames } from "./serve.ts";
import { mintToken, type TokenWish } from "./token.ts";

const localFile = join(import.meta.dirname, "..", "..", ".soldier", "local.json");

/** A command that asks the public API. */
function asking(name: string, parent = program): Command {
  return parent
    .command(name)
    .addOption(new Option("--url <url>", "where Soldier is").env("SOLDIER_URL"))
    .addOption(new Option("--token <token>", "by which token to ask").env("SOLDIER_TOKEN"));
}

const program = new Command("soldier")
  .description("Works with Soldier by its public API, and runs its services.")
  .showHelpAfterError();

interface ApplyFlags extends Said {
  readonly dryRun?: boolean;
  readonly publish: boolean;
}

asking("apply")
  .description("make an agent what the files in a folder say, and publish it")
  .argument("<dir>", "the folder with the agent's YAML files")
  .option("--dry-run", "only say what would change")
  .option("--no-publish", "save the draft only")
  .action(async (directory: string, { dryRun = false, publish, ...said }: ApplyFlags) => {
    const progress = (text: string) => void process.stderr.write(`${text}\n`);
    const call = openApi(connectionFrom(said, localFile));
    process.stdout.write(`${await apply(call, directory, { dryRun, publish, progress })}\n`);
  });

asking("export")
  .description("write an agent's draft as files that apply reads")
  .argument("<agent>", "the agent's slug or id")
  .argument("<dir>", "the folder to write to")
  .action(async (agent: string, directory: string, said: Said) => {
    const files = await exportAgent(openApi(connectionFrom(said, localFile)), agent, directory);
    process.stdout.write(`${files.join("\n")}\n`);
  });

interface CalibrateFlags extends Said {
  readonly agent: string;
  readonly write?: string;
  readonly apply?: boolean;
}

asking("calibrate")
  .description("fit an agent's matching to messages that you have labelled with its rules")
  .argument("<file>", "a .jsonl, .json or .csv file: message, and rule (several by ;, or nothing)")
  .requiredOption("--agent <slug>", "which agent, as published")
  .addOption(new Option("--write <path>", "write the settings as TOML").conflicts("apply"))
  .option("--apply", "write them into the draft of the agent")
  .action(
    async (path: string, { agent, write, apply: toAgent = false, ...said }: CalibrateFlags) => {
      const progress = (done: number, of: number) => {
        if (done % 100 === 0) process.stderr.write(`${done} of ${of}\n`);
      };
      const call = openApi(connectionFrom(said, localFile));
      const options = { agent, write, apply: toAgent, progress };
      process.stdout.write(`${await calibrateAgent(call, path, options)}\n`);
    },
  );

interface ChatFlags extends Said {
  readonly agent?: string;
  readonly session?: string;
  readonly once?: string;
  readonly opening?: boolean;
  readonly verbose?: boolean;
}

asking("chat")
  .description("talk to an agent")
  .option("--agent <slug>", "which agent; that of the local start when left out")
  .option("--session <id>", "go on with a session")
  .option("--once <text>", "say this, print the answer and leave")
  .option("--opening", "let the agent speak first")
  .option("--verbose", "say which rules applied, and at which step the session is")
  .action(async ({ url, token, ...options }: ChatFlags) => {
    const connection = connectionFrom({ url, token }, localFile);
    const { stdin: input, stdout: output, stderr: errors } = process;
    const agent = options.agent ?? connection.agent;
    await chat(openApi(connection), { ...options, agent }, { input, output, errors });
  });

asking("explain")
  .description("say why a turn went as it did, and what was believed of the customer then and now")
  .argument("<turn>", "the turn's id")
  .action(async (turnId: string, said: Said) => {
    const call = openApi(connectionFrom(said, localFile));
    process.stdout.write(`${await explain(call, turnId)}\n`);
  });

asking("erase")
  .description("erase what was said, with all that followed from it, in every service")
  .option("--customer <id>", "everything of a customer, under every merged id")
  .option("--session <id>", "everything said in a session")
  .option("--episode <id>", "one episode of memory")
  .option("--tenant", "everything of the tenant")
  .option("--dry-run", "only count")
  .action(async ({ url, token, ...erasing }: Said & Erasing) => {
    const call = openApi(connectionFrom({ url, token }, localFile));
    process.stdout.write(`${await erase(call, erasing)}\n`);
  });

const auditing = program.command("audit").description("look after the immutable record");

interface AuditFlags extends Said {
  readonly from?: Date;
  readonly to?: Date;
  readonly knownEnd?: string;
}

asking("verify", auditing)
  .description("check that no audit record was changed, removed or added")
  .option("--from <time>", "of records from here on", instant)
  .option("--to <time>", "of records until here", instant)
  .option("--known-end <end>", "an end of the chain that was told before")
  .action(async ({ knownEnd = "", ...flags }: AuditFlags) => {
    const call = openApi(connectionFrom(flags, localFile));
    process.stdout.write(`${await verifyAudit(call, flags, knownEnd)}\n`);
  });

asking("export", auditing)
  .description("write audit records as lines of JSON")
  .option("--from <time>", "from here on", instant)
  .option("--to <time>", "until here", instant)
  .action(async (flags: AuditFlags) => {
    const call = openApi(connectionFrom(flags, localFile));
    for await (const line of exportAudit(call, flags))
      if (!process.stdout.write(line)) await once(process.stdout, "drain");
  });

const deadLetters = program
  .command("dead-letters")
  .description("look after events that a service gave up, by the broker in the settings");

deadLetters
  .command("list")
  .description("say which there are, the oldest first")
  .option("--consumer <name>", "only what this service gave up")
  .option("--max <number>", "at most so many", positive, 100)
  .action(async ({ consumer, max }: { consumer?: string; max: number }) => {
    const filter = { ...(consumer && { consumer }), lettersMax: max };
    await withLetters((letters) => listedLetters(letters, filter));
  });

deadLetters
  .command("show")
  .description("say all that is known of one")
  .argument("<number>", "its number", positive)
  .option("--payload", "with the event itself, in base64: it may hold what a customer wrote")
  .action(async (number: number, { payload = false }: { payload?: boolean }) => {
    await withLetters((letters) => shownLetter(letters, number, payload));
  });

deadLetters
  .command("replay")
  .description("publish these events once more, and remove their letters")
  .argument("<numbers...>", "their numbers", positives)
  .action(async (numbers: readonly number[]) => {
    await withLetters((letters) =>
      eachLetter(numbers, "replayed", (number) => letters.replay(number)),
    );
  });

deadLetters
  .command("drop")
  .description("remove these for good")
  .argument("<numbers...>", "their numbers", positives)
  .action(async (numbers: readonly number[]) => {
    await withLetters((letters) =>
      eachLetter(numbers, "dropped", (number) => letters.drop(number)),
    );
  });

async function withLetters(work: (letters: DeadLetterStream) => Promise<string>): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const { events } = settingsFor({ settings: { events: eventsSettings } }, readSettings());
  process.stdout.write(`${await work(await openDeadLetters(events, opened))}\n`);
}

program
  .command("token")
  .description("sign a token by the secret in the settings")
  .option("--tenant <id>", "for which tenant", "demo")
  .option("--subject <name>", "for whom", "you")
  .option("--roles <list>", "joined by commas", words, ["chat", "operator", "delegate"])
  .option("--secret <text>", "sign by this instead")
  .option("--hours <number>", "how long it holds", positive, 24)
  .action(async (wish: TokenWish) => {
    process.stdout.write(`${await mintToken(readSettings(), wish)}\n`);
  });

program
  .command("serve")
  .description("run one service")
  .argument("<service>", serviceNames.join(", "))
  .action(serve);

program
  .command("migrate")
  .description("bring the database in [postgres] url up to date, service by service")
  .option("--service <name>", "only this one's; may be repeated", named)
  .addOption(new Option("--dry-run", "only say what would be applied").conflicts("status"))
  .option("--status", "only say how each migration stands; exits with 2 when one is missing")
  .action(async (flags: MigrateFlags) => {
    // The other commands begin sooner without the database's driver.
    const { migrateServices } = await import("./migrate.ts");
    const tell = (line: string) => void process.stdout.write(`${line}\n`);
    const current = await migrateServices(readSettings(), flags, tell);
    if (flags.status && !current) process.exitCode = 2;
  });

function named(name: string, before: readonly string[] = []): readonly string[] {
  return [...before, name];
}

function words(text: string): readonly string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

function instant(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw new InvalidArgumentError("It must be a time such as 2026-11-20 or 2026-11-20T12:00:00Z.");
  return time;
}

function positives(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, positive(text)];
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number)))
    throw new InvalidArgumentError("It must be a number above 0.");
  return number;
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${failureText(error)}\n`);
  process.exitCode = 1;
}
