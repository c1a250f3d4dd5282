import { execFile } from "node:child_process";
import { join } from "node:path";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** As an operator runs it: a process of its own, with this environment only. */
function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const options = { cwd: root, env: { SOLDIER_ENV: "test", ...env }, timeout: 30_000 };
    execFile(process.execPath, [join(root, program), ...args], options, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, out, err });
    });
  });
}
const soldier = (args: readonly string[], env = {}) =>
  run("cli/src/main.ts", ["migrate", ...args], env);

const [embedded] = testDatabase();
if (!embedded) throw new Error("the embedded PostgreSQL is always there");

describeOn("soldier migrate", embedded, (backend) => {
  it("says what is missing, migrates, and exits with 2 while something is missing", async () => {
    await using place = await backend.open();
    const env = { SOLDIER_POSTGRES__URL: place.url };
    const [before, dry] = await Promise.all([
      soldier(["--status"], env),
      soldier(["--dry-run", "--service", "audit"], env),
    ]);
    expect([before.code, before.err]).toEqual([2, ""]);
    expect(before.out).toContain("session  0001_sessions.sql: missing\n");
    expect(dry).toMatchObject({ code: 0, err: "" });
    expect(dry.out).toMatch(/^(audit {4}\S+\.sql: would be applied\n)+$/);

    const own = await run("services/audit/src/migrate.ts", [], env);
    expect(own).toMatchObject({ code: 0, err: "" });
    expect(own.out).toContain("audit    0002_chain.sql: applied now\n");

    const all = await soldier([], env);
    expect(all).toMatchObject({ code: 0, err: "" });
    expect(all.out).toContain("audit    all: up to date\n");
    expect(all.out).toContain("session  0001_sessions.sql: applied now\n");
    const after = await soldier(["--status"], env);
    expect(after).toMatchObject({ code: 0, err: "" });
    expect(after.out).not.toContain("missing");
  });

  it("says in a sentence why it can't", async () => {
    const [unknown, away, wrong] = await Promise.all([
      soldier(["--service", "sesion"]),
      soldier([], { SOLDIER_POSTGRES__URL: "postgres://soldier@127.0.0.1:1/x" }),
      soldier([], { SOLDIER_POSTGRES__URL: "mysql://x" }),
    ]);
    expect([unknown.code, unknown.err]).toEqual([
      1,
      'SERVICE_UNKNOWN: no service with migrations is called "sesion"; did you mean session? there are audit, config, memory, profile, session\n',
    ]);
    expect(away.code).toBe(1);
    expect(away.err).toMatch(
      /^POSTGRES_UNAVAILABLE: PostgreSQL at 127\.0\.0\.1:1\/x cannot be used/,
    );
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringMatching(/^SETTINGS_INVALID: .*\n.*url/),
    ]);
  });
});
