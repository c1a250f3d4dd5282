import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "@soldier/proto/grpc/health/v1/health";
import { ServerReflection } from "@soldier/proto/grpc/reflection/v1/reflection";
import { EchoService } from "@soldier/proto/testing/v1/echo";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientOf } from "./client.ts";
import { echoService } from "./echo.contract.ts";
import { grpcTransport } from "./grpc-client.ts";
import { Health } from "./health.ts";
import { type Running, runAlone } from "./run.ts";
import { type Service, service } from "./service.ts";
import { callAs, recordedLog, testIdentity, testSettings } from "./testing.ts";

const run = promisify(execFile);

/** The sample service with a dependency that works as long as it is told to. */
function dependent(dependency: { broken?: string }, options: { edge?: true } = {}): Service {
  const echo = echoService({ cancelled: [], left: [] }, options);
  return service({
    ...echo,
    async start(given) {
      given.ready.check("database", async () => {
        if (dependency.broken) throw new Error(dependency.broken);
      });
      return echo.start(given);
    },
  }) as Service; // its tables are of no interest here
}

describe.each([{}, { edge: true }] as const)("a server %o", (options) => {
  const dependency: { broken?: string } = {};
  let running: Running;
  let transport: ReturnType<typeof grpcTransport>;
  beforeAll(async () => {
    running = await runAlone(dependent(dependency, options), {
      settings: testSettings({}, ["echo"]),
      logTo: recordedLog().destination,
    });
    transport = grpcTransport(new URL(running.url ?? "").host, 4_194_304);
  });
  afterAll(async () => {
    transport[Symbol.dispose]();
    await running[Symbol.asyncDispose]();
  });

  // Nobody has to say who they are to ask how a server is.
  const health = () => clientOf(HealthService, transport, { interceptors: [], deadlineMs: 10_000 });
  const reflection = () =>
    clientOf(ServerReflection, transport, { interceptors: [], deadlineMs: 10_000 });

  it("says whether it serves, as a whole and by service", async () => {
    for (const name of ["", "soldier.testing.v1.EchoService"])
      expect((await health().check({ service: name })).status).toBe(Status.SERVING);
  });

  it("knows nothing of services that it doesn't have", async () => {
    await expect(health().check({ service: "nobody" })).rejects.toThrow("not served here");
  });

  it("follows what it depends on, and says why", async () => {
    dependency.broken = "connection refused";
    expect((await health().check({ service: "" })).status).toBe(Status.NOT_SERVING);
    const ready = await fetch(`${running.adminUrl}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      {
        ready: false,
        state: "serving",
        checks: [{ service: "echo", name: "database", ready: false, reason: "connection refused" }],
      },
    ]);
    expect((await fetch(`${running.adminUrl}/healthz`)).status).toBe(200);
    delete dependency.broken;
    expect((await fetch(`${running.adminUrl}/readyz`)).status).toBe(200);
  });

  it("tells watchers of every change", async () => {
    const seen: Status[] = [];
    for await (const { status } of health().watch({ service: "" })) {
      seen.push(status);
      if (seen.length === 1) dependency.broken = "gone";
      if (seen.length === 2) delete dependency.broken;
      if (seen.length === 3) break;
    }
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]);
  });

  it("describes its services to tools", async () => {
    async function* ask() {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
      yield {
        messageRequest: {
          case: "fileContainingSymbol" as const,
          value: "soldier.testing.v1.EchoService.Echo",
        },
      };
      yield {
        messageRequest: {
          case: "fileContainingExtension" as const,
          value: { containingType: "google.protobuf.MethodOptions", extensionNumber: 50_301 },
        },
      };
      yield { messageRequest: { case: "fileByFilename" as const, value: "nothing.proto" } };
    }
    const answers = [];
    for await (const { messageResponse } of reflection().serverReflectionInfo(ask()))
      answers.push(messageResponse);
    expect(answers).toMatchObject([
      {
        case: "listServicesResponse",
        value: {
          service: [{ name: "soldier.testing.v1.EchoService" }, { name: "grpc.health.v1.Health" }],
        },
      },
      { case: "fileDescriptorResponse" },
      { case: "fileDescriptorResponse" },
      { case: "errorResponse", value: { errorCode: 5 } },
    ]);
  });

  it("can be called with nothing but its address", async () => {
    const { stdout } = await run("buf", [
      "curl",
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      "--reflect",
      "--reflect-protocol",
      "grpc-v1",
      `${running.url}/grpc.health.v1.Health/Check`,
    ]);
    expect(JSON.parse(stdout)).toEqual({ status: "SERVING" });
  });

  it("counts its calls", async () => {
    await callAs(
      running.call,
      testIdentity(),
    )(EchoService)
      .echo({ text: "fail:conflict" })
      .catch(() => {});
    const metrics = await (await fetch(`${running.adminUrl}/metrics`)).text();
    const rpc = `service="echo",rpc="soldier.testing.v1.EchoService/Echo"`;
    expect(metrics).toContain(`soldier_rpc_server_requests_total{${rpc},code="ABORTED"}`);
    expect(metrics).toContain(`soldier_rpc_server_duration_seconds_count{${rpc}}`);
    expect(metrics).toContain(`soldier_rpc_server_in_flight{${rpc}} 0`);
    expect(metrics).toContain("process_cpu_seconds_total");
  });

  it("has nothing else on its admin port", async () => {
    expect((await fetch(`${running.adminUrl}/secrets`)).status).toBe(404);
  });
});

describe("readiness", () => {
  it("is not given before everything has started", async () => {
    const health = new Health();
    expect((await health.report()).state).toBe("starting");
    health.started();
    expect((await health.report()).ready).toBe(true);
  });

  it("gives up a check that doesn't answer", async () => {
    const health = new Health();
    health.started();
    health.readinessOf("echo").check("silent", () => new Promise(() => {}));
    const { ready, checks } = await health.report();
    expect([ready, checks[0]?.reason]).toEqual([false, "no answer in 2000 ms"]);
  });

  it("runs each check once for all who ask at the same time", async () => {
    const health = new Health();
    let probes = 0;
    health.readinessOf("echo").check("counted", async () => void probes++);
    await Promise.all([health.report(), health.report(), health.isServing("")]);
    expect(probes).toBe(1);
  });
});
