// What a call costs, by the way it goes: in one process, over gRPC, and at the edge over Connect.
// Client and server share this process, so the CPU is that of both sides. node bench/rpc.ts [seconds]
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { echoService } from "@soldier/chassis/echo.contract";
import { clientOf } from "@soldier/chassis/client";
import { actingAs } from "@soldier/chassis/identity";
import { runAlone, runTogether } from "@soldier/chassis/run";
import type { Call } from "@soldier/chassis/service";
import { recordedLog, testIdentity, testSettings } from "@soldier/chassis/testing";
import { EchoService } from "@soldier/proto/testing/v1/echo";

const seconds = Number(process.argv[2] ?? 3);
const concurrent = 16;
const text = "x".repeat(1_000);
const settings = testSettings({ log: { level: "warn" } }, ["echo"]);
const options = { settings, logTo: recordedLog().destination };
const noticed = { cancelled: [], left: [] };

process.stdout.write(`${"way".padEnd(32)}${"calls/s".padStart(10)}${"CPU ms/call".padStart(14)}\n`);

async function measured(name: string, call: Call): Promise<void> {
  const echo = call(EchoService);
  await loop(0.5, () => echo.echo({ text }));
  const unary = await loop(seconds, () => echo.echo({ text }));
  report(`${name}, unary`, unary);
  const streamed = await loop(seconds, async () => {
    let left = 0;
    for await (const { number } of echo.count({ count: 50 })) left = number;
    return left;
  });
  report(`${name}, stream of 50`, streamed);
}

interface Measure {
  readonly perSecond: number;
  readonly cpuMs: number;
}

async function loop(forSeconds: number, run: () => Promise<unknown>): Promise<Measure> {
  const startedMs = performance.now();
  const untilMs = startedMs + forSeconds * 1_000;
  const cpu = process.cpuUsage();
  let calls = 0;
  await Promise.all(
    Array.from({ length: concurrent }, async () => {
      while (performance.now() < untilMs) {
        await run();
        calls++;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = (performance.now() - startedMs) / 1_000;
  return { perSecond: calls / elapsed, cpuMs: (user + system) / 1_000 / calls };
}

function report(name: string, { perSecond, cpuMs }: Measure): void {
  const calls = Math.round(perSecond).toString().padStart(10);
  process.stdout.write(`${name.padEnd(32)}${calls}${cpuMs.toFixed(3).padStart(14)}\n`);
}

await actingAs(testIdentity(), async () => {
  {
    await using running = await runTogether([echoService(noticed)], options);
    await measured("in process", running.call);
  }
  {
    await using running = await runAlone(echoService(noticed), options);
    await measured("gRPC", running.call);
  }
});

{
  await using running = await runAlone(echoService(noticed, { edge: true }), options);
  const baseUrl = running.url ?? "";
  const token: Interceptor = (next) => (req) => {
    req.header.set("authorization", "test acme chat");
    return next(req);
  };
  const ways = {
    "edge, Connect 1.1": createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    "edge, Connect 2": createConnectTransport({ baseUrl, httpVersion: "2" }),
    "edge, gRPC": createGrpcTransport({ baseUrl }),
  };
  for (const [name, transport] of Object.entries(ways))
    await measured(name, (peer) =>
      clientOf(peer, transport, { interceptors: [token], deadlineMs: 10_000 }),
    );
}
// A client's idle connections would keep the process.
process.exit(0);
