// Holds a conversation with an example agent, keyless, and writes it down with its explanations.
//
//   npm run transcript -- shop       writes docs/transcripts/shop.md
//   npm run transcript -- bank
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readAgentFiles } from "@soldier/cli/agent-files";
import { type ExampleBackend, startExampleBackend } from "@soldier/examples/backend";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { startEngine } from "./engine.ts";
import { openDatabase } from "./place.ts";
import { recordOf } from "./run-case.ts";
import { conversations } from "./transcript-lines.ts";
import { turnText } from "./transcript-text.ts";

const root = join(import.meta.dirname, "..");
const [name = ""] = process.argv.slice(2);
const lines = conversations[name];
if (!lines) {
  process.stderr.write(`say which conversation: ${Object.keys(conversations).join(", ")}\n`);
  process.exit(1);
}

await using opened = new AsyncDisposableStack();
let backend: ExampleBackend = await startExampleBackend({ port: 0 });
opened.defer(() => backend[Symbol.asyncDispose]());
const { host, port } = new URL(backend.url);
const engine = opened.use(
  await startEngine({
    databaseUrl: await openDatabase(undefined, opened),
    toolHost: host,
    toolSettings: { example_backend: backend.url },
    models: { model: { provider: "none" } },
    embedder: { provider: "local" },
  }),
);
const call = engine.freshTenant();
const { document } = await readAgentFiles(join(root, "examples", name));
// The texts of a whole agent are embedded here, on whatever machine this is.
await call(ConfigService).applyAgent({ document, publish: true }, { timeoutMs: 120_000 });
const { bundle } = await call(ConfigService).getBundle({ agentId: name });
if (!bundle) throw new Error(`no published version of ${name}`);

const turns: string[] = [];
let sessionId = "";
let isUp = true;
for (const { say, backend: change } of lines) {
  const note = await around(change);
  const turnId = await turnOf(say);
  const record = await recordOf(turnId, call);
  if (!record) throw new Error(`turn ${turnId} has no record`);
  turns.push(turnText(record, note, bundle));
}
const title = document.agent?.name ?? name;
const text = `# ${title}: a conversation

Recorded from the running engine by \`npm run transcript -- ${name}\`: the agent of \`examples/${name}\`, no language
model, embeddings by the local model. Below each reply stands what the turn's record says of it: the rules that applied, the
best of those that did not, the way through the scenario, tools, where the words came from, and what it took.

${turns.join("\n\n")}
`;
const folder = join(root, "docs", "transcripts");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, `${name}.md`), text);
process.stdout.write(`${turns.length} turns in docs/transcripts/${name}.md\n`);

/** Takes the backend away or brings it back at the same place; returns what to tell of it. */
async function around(change: "down" | "up" | undefined): Promise<string> {
  if (change === "down" && isUp) {
    await backend[Symbol.asyncDispose]();
    isUp = false;
    return "The backend of the tools does not answer.";
  }
  if (change === "up" && !isUp) {
    backend = await startExampleBackend({ port: Number(port) });
    isUp = true;
    return "The backend of the tools is there again.";
  }
  return "";
}

async function turnOf(message: string): Promise<string> {
  let turnId = "";
  const events = call(AlignmentService).processTurn({
    ...(sessionId
      ? { sessionId }
      : { agent: name, customer: { externalId: "ada" }, channel: Channel.WEBCHAT }),
    text: message,
  });
  for await (const { event } of events)
    if (event.case === "started") ({ sessionId, turnId } = event.value);
  return turnId;
}
