import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overridden, readSettings } from "@soldier/chassis/settings";
import { removeStreams, testEvents } from "@soldier/events/testing";
import { startExampleBackend } from "@soldier/examples/backend";
import { describeOn, testDatabase, testNats } from "@soldier/storage/testing";
import { describe, expect, it } from "vitest";
import { demoToken, installDemoAgent } from "../demo.ts";
import { startOneProcess } from "../one-process.ts";
import { names, startSevenProcesses } from "../seven-processes.ts";
import { type CollectedSpan, type Collector, startCollector } from "./collector.ts";

const settings = readSettings({ env: { SOLDIER_ENV: "test" } });
const [embedded] = testDatabase();

/** What a customer's message sets going, in every way to run Soldier. */
describe("one message", () => {
  it("is one trace through all services in one process", async () => {
    await using opened = new AsyncDisposableStack();
    const { collector, backend, directory, database } = await surroundings(opened);
    const running = opened.use(
      await startOneProcess({
        settings: overridden(
          settings,
          {
            postgres: { url: database },
            server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } },
            telemetry: { otlp_url: collector.url },
            embedder: { provider: "deterministic" },
            log: { level: "debug" },
          },
          "the test",
        ),
        directory,
        backendUrl: backend.url,
      }),
    );
    await staysOneTrace(running.url ?? "", collector, directory);
  });

  describeOn("over NATS", testNats(), (nats) => {
    it("is one trace through seven processes", { timeout: 90_000 }, async () => {
      await using opened = new AsyncDisposableStack();
      const { collector, backend, directory, database } = await surroundings(opened);
      const events = testEvents(opened.use(await nats.open()).url);
      opened.defer(() => removeStreams(events));
      const ended: string[] = [];
      const mesh = opened.use(
        await startSevenProcesses({
          settings: overridden(settings, { postgres: { url: database } }, "the test"),
          logs: directory,
          backendUrl: backend.url,
          freePorts: true,
          ended: (name, how) => ended.push(`${name}: ${how}`),
          env: {
            SOLDIER_ENV: "test",
            SOLDIER_EVENTS__URL: events.url,
            SOLDIER_EVENTS__ROOT: events.root,
            SOLDIER_TELEMETRY__OTLP_URL: collector.url,
            SOLDIER_EMBEDDER__PROVIDER: "deterministic",
            SOLDIER_LOG__LEVEL: "debug",
          },
        }),
      );
      await staysOneTrace(mesh.url, collector, directory);
      expect(ended).toEqual([]);
    });
  });
});

async function surroundings(opened: AsyncDisposableStack) {
  if (!embedded) throw new Error("the embedded PostgreSQL is always there");
  const directory = mkdtempSync(join(tmpdir(), "soldier-e2e-"));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  return {
    collector: opened.use(await startCollector()),
    backend: opened.use(await startExampleBackend({ port: 0 })),
    database: opened.use(await embedded.open()).url,
    directory,
  };
}

interface Answer {
  readonly reply: string;
  readonly traceId: string;
  readonly turnNumber: number;
  readonly sessionId: string;
}

async function staysOneTrace(url: string, collector: Collector, logs: string): Promise<void> {
  const token = await demoToken(settings);
  await installDemoAgent(url, token);
  const ask = async (message: string, sessionId?: string) => {
    const res = await fetch(`${url}/v1/chat`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ message, ...(sessionId ? { sessionId } : { agent: "shop" }) }),
    });
    return (await res.json()) as Answer;
  };
  const answer = await ask("how long does delivery take");
  expect(answer).toMatchObject({
    turnNumber: 1,
    reply: expect.stringContaining("2 to 4 working days"),
  });
  const second = await ask("and to Portugal", answer.sessionId);

  const tree = () => linesOf(collector.spansOf(answer.traceId));
  const expected = [
    // The gateway asks alignment; alignment asks everybody else.
    "chat-gateway HTTP POST > alignment AlignmentService/ProcessTurn",
    "alignment AlignmentService/ProcessTurn > alignment turn receive > config ConfigService/StreamBundle",
    "alignment turn receive > session SessionService/BeginTurn",
    "alignment turn receive > profile ProfileService/GetOrCreateProfile",
    "alignment turn commit > session SessionService/CommitTurn",
    // The commit's event goes on in the same trace.
    "session SessionService/CommitTurn > audit consume turn.committed",
    "session SessionService/CommitTurn > memory consume turn.committed",
    "session SessionService/CommitTurn > profile consume turn.committed",
  ];
  await expect
    .poll(() => expected.filter((path) => !hasPath(tree(), path.split(" > "))), { timeout: 20_000 })
    .toEqual([]);
  // Nothing is looked for of who was never there before.
  const recall = "alignment turn retrieve > memory MemoryService/Recall";
  const remembered = () => linesOf(collector.spansOf(second.traceId));
  await expect
    .poll(() => hasPath(remembered(), recall.split(" > ")), { timeout: 20_000 })
    .toBe(true);

  const logged = () =>
    readdirSync(logs)
      .filter((name) => name.endsWith(".log"))
      .flatMap((name) => readFileSync(join(logs, name), "utf8").split("\n"))
      .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as LogLine] : []))
      .filter((line) => line.trace_id === answer.traceId)
      .map((line) => line.service ?? "");
  await expect
    .poll(() => [...new Set(logged())].toSorted(), { timeout: 10_000 })
    .toEqual(expect.arrayContaining(names.toSorted()));
}

interface LogLine {
  readonly trace_id?: string;
  readonly service?: string;
}

interface Node {
  readonly label: string;
  readonly parent: Node | undefined;
}

/** Each span as "<service> <name>", knowing its ancestors. */
function linesOf(spans: readonly CollectedSpan[]): readonly Node[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const node = ({ service, name, parentId }: CollectedSpan): Node => {
    const parent = byId.get(parentId);
    return {
      label: `${service} ${name.replace(/^soldier\.\w+\.v1\./, "")}`,
      parent: parent && node(parent),
    };
  };
  return spans.map(node);
}

/** Whether some span has these ancestors in this order, others between them allowed. */
function hasPath(nodes: readonly Node[], labels: readonly string[]): boolean {
  return nodes.some((leaf) => {
    const wanted = [...labels];
    if (leaf.label !== wanted.pop()) return false;
    for (let at = leaf.parent; at; at = at.parent) if (at.label === wanted.at(-1)) wanted.pop();
    return wanted.length === 0;
  });
}
