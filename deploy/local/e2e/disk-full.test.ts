import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overridden } from "@soldier/chassis/settings";
import { startExampleBackend } from "@soldier/examples/backend";
import { embeddedPostgres } from "@soldier/storage/embedded";
import { describe, expect, it } from "vitest";
import { demoToken, installDemoAgent } from "../demo.ts";
import { startOneProcess } from "../one-process.ts";
import { type Answered, chat, read, settings } from "./desk.ts";

/** A disk of its own, small enough to be filled. */
function smallDisk(opened: AsyncDisposableStack): string {
  const directory = mkdtempSync(join(tmpdir(), "soldier-disk-"));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=256m,mode=0755", "tmpfs", directory]);
  opened.defer(() => void execFileSync("umount", [directory]));
  chmodSync(directory, 0o755);
  return directory;
}

/** Writes until nothing more fits. */
function fill(disk: string): string {
  const path = join(disk, "filler");
  const file = openSync(path, "w");
  try {
    for (let size = 1_048_576; size >= 4_096; size /= 16)
      try {
        for (;;) writeSync(file, Buffer.alloc(size));
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
      }
  } finally {
    closeSync(file);
  }
  return path;
}

const why =
  process.platform !== "linux" || process.getuid?.() !== 0
    ? " (skipped: only root on Linux can mount a small disk)"
    : "";

describe.skipIf(why !== "")(`a database whose disk is full${why}`, () => {
  it("refuses what it can't keep, keeps what it has answered, and goes on when there is room", async () => {
    await using opened = new AsyncDisposableStack();
    const disk = smallDisk(opened);
    const database = opened.use(await embeddedPostgres({ directory: disk }));
    const backend = opened.use(await startExampleBackend({ port: 0 }));
    const directory = mkdtempSync(join(tmpdir(), "soldier-e2e-"));
    opened.defer(() => rmSync(directory, { recursive: true, force: true }));
    const test = {
      postgres: { url: database.url },
      server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } },
      embedder: { provider: "deterministic" },
    };
    const running = opened.use(
      await startOneProcess({
        settings: overridden(settings, test, "the test"),
        directory,
        backendUrl: backend.url,
      }),
    );
    const url = running.url ?? "";
    const token = await demoToken(settings);
    await installDemoAgent(url, token);
    const say = (message: string, key: string, sessionId = ""): Promise<Answered> =>
      chat({ url, token, body: { agent: "shop", message, ...(sessionId && { sessionId }) }, key });

    const { sessionId } = await say("hello", randomUUID());
    const filler = fill(disk);
    expect(statfsSync(disk).bavail).toBeLessThan(8);

    let answered = 1;
    let refused: { key: string; text: string; answer: Answered } | undefined;
    for (let n = 0; refused === undefined && n < 200; n++) {
      const key = randomUUID();
      // Text that does not compress, so that rows take room.
      const text = Array.from({ length: 400 }, () => randomUUID()).join(" ");
      const answer = await say(text, key, sessionId);
      if (answer.status === 200) answered += 1;
      else refused = { key, text, answer };
    }
    expect(refused?.answer.status).toBe(503);
    expect(refused?.answer.error?.reason).toMatch(/^STORAGE_(FULL|UNAVAILABLE)$/);
    expect(refused?.answer.error?.message).toContain("try again");

    rmSync(filler);
    const again = () => say(refused?.text ?? "", refused?.key ?? "", sessionId);
    await expect
      .poll(async () => (await again()).status, { timeout: 30_000, interval: 250 })
      .toBe(200);
    expect(await again()).toMatchObject({ replayed: true, turnNumber: answered + 1 });
    const path = `/v1/sessions/${sessionId}/turns?pageSize=100`;
    const { turns } = await read<{ turns: readonly { number: number }[] }>({ url, token }, path);
    expect(turns.map(({ number }) => number).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: answered + 1 }, (_, i) => i + 1),
    );
  }, 90_000);
});
