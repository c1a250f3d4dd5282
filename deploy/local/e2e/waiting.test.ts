import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { roleOf } from "@soldier/storage/role";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import postgres from "postgres";
import { expect, it } from "vitest";
import { freePort } from "../seven-processes.ts";

const root = join(import.meta.dirname, "../../..");

describeOn("a service that may not migrate", testDatabase(), (backend) => {
  it("waits, tells what for, leaves when it is told to, and serves by a login that owns nothing", async () => {
    await using opened = new AsyncDisposableStack();
    const { url } = opened.use(await backend.open());
    const owner = postgres(url, { max: 1, onnotice: () => {} });
    opened.defer(() => owner.end());
    const login = `serving_${randomBytes(6).toString("hex")}`;
    await owner.unsafe(`create role ${login} login password 'plain'`);
    opened.defer(() => owner`drop role ${owner(login)}`.then(() => {}));
    const serving = Object.assign(new URL(url), { username: login, password: "plain" }).href;
    const adminPort = await freePort();
    const start = (): { child: ChildProcess; exit: Promise<unknown[]> } => {
      const child = spawn(process.execPath, ["services/audit/src/main.ts"], {
        cwd: root,
        stdio: ["ignore", "ignore", "inherit"],
        env: {
          SOLDIER_ENV: "test",
          SOLDIER_LOG__LEVEL: "silent",
          SOLDIER_POSTGRES__URL: serving,
          SOLDIER_POSTGRES__MIGRATE: "wait",
          SOLDIER_EVENTS__URL: "inproc://alone",
          SOLDIER_SERVER__PORTS__AUDIT: "0",
          SOLDIER_SERVER__ADMIN_PORTS__AUDIT: String(adminPort),
        },
      });
      opened.defer(() => void child.kill("SIGKILL"));
      return { child, exit: once(child, "exit") };
    };
    const readiness = async () => {
      const res = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined);
      return res && `${res.status} ${await res.text()}`;
    };
    const waits = expect.stringMatching(
      /^503 .*the schema audit lacks the migration 0001_records\.sql and \d+ more: run \\"soldier migrate --service audit\\"/,
    );

    const first = start();
    await expect.poll(readiness, { timeout: 15_000 }).toEqual(waits);
    first.child.kill("SIGTERM");
    expect(await first.exit).toEqual([0, null]);

    const second = start();
    await expect.poll(readiness, { timeout: 15_000 }).toEqual(waits);
    const role = roleOf("audit");
    const [known] = await owner`select from pg_roles where rolname = ${role}`;
    if (!known) await owner`create role ${owner(role)} nologin`;
    await owner`grant ${owner(role)} to ${owner(login)}`;
    const migrated = await promisify(execFile)(
      process.execPath,
      ["services/audit/src/migrate.ts"],
      {
        cwd: root,
        env: { SOLDIER_ENV: "test", SOLDIER_POSTGRES__URL: url },
      },
    );
    expect(migrated.stdout).toContain("audit    0001_records.sql: applied now");
    await expect.poll(readiness, { timeout: 15_000 }).toMatch(/^200 /);
    second.child.kill("SIGTERM");
    expect(await second.exit).toEqual([0, null]);
  }, 60_000);
});
