import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { actingAs } from "./identity.ts";
import { openLog } from "./log.ts";
import { testIdentity } from "./testing.ts";
import { currentTraceId, span } from "./tracing.ts";

describe("the log", () => {
  it("goes to a file, whose folder it makes, one JSON object a line", () => {
    const directory = mkdtempSync(join(tmpdir(), "soldier-log-"));
    const destination = join(directory, "deep", "soldier.log");
    const log = openLog({ level: "info", destination }).child({ service: "shop" });
    log.info({ count: 3 }, "opened");
    log.debug("not written");
    const lines = readFileSync(destination, "utf8").trim().split("\n");
    rmSync(directory, { recursive: true });
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { level: "info", service: "shop", msg: "opened", count: 3 },
    ]);
  });

  it("says for whom and in which trace a line was written", async () => {
    const written: string[] = [];
    const log = openLog(
      { level: "info", destination: "stdout" },
      { write: (line) => void written.push(line) },
    );
    const identity = testIdentity();
    const traceId = await span("work", {}, async () => {
      actingAs(identity, () => log.info("done"));
      return currentTraceId();
    });
    expect(JSON.parse(written[0] ?? "")).toMatchObject({
      trace_id: traceId,
      tenant: identity.tenantId,
    });
  });

  it("tells an error with its cause", () => {
    const written: string[] = [];
    const log = openLog(
      { level: "info", destination: "stdout" },
      { write: (line) => void written.push(line) },
    );
    log.error({ error: new Error("outer", { cause: new Error("inner") }) }, "failed");
    expect(written[0]).toContain("outer: inner");
  });
});
