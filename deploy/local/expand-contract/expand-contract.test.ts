import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { migrate, migrationNames, type OwnSchema } from "@soldier/storage/migrate";
import { admitRole, roleOf } from "@soldier/storage/role";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agreed } from "./agreed.ts";
import { limitsOf, tightened } from "./limits.ts";
import { type Released, readReleased } from "./released.ts";
import { ownSchemas } from "./schemas.ts";
import { refusedStatements } from "./still-works.ts";

const [embedded] = testDatabase();
if (!embedded) throw new Error("the embedded PostgreSQL is always there");

/**
 * The release before this one goes on working on the schemas of this one: while replicas are replaced both
 * run, and a rollback takes no schema back.
 */
describeOn("the release before, after the migrations of this one,", embedded, (backend) => {
  const opened = new AsyncDisposableStack();
  let owner: Sql;
  let directory: string;
  beforeAll(async () => {
    const { url } = opened.use(await backend.open());
    owner = postgres(url, { max: 1, onnotice: () => {} });
    opened.defer(() => owner.end());
    directory = mkdtempSync(join(tmpdir(), "soldier-released-"));
    opened.defer(() => rmSync(directory, { recursive: true }));
  });
  afterAll(() => opened.disposeAsync());

  /** The schema as the release before made it. */
  async function asReleased({ schema, migrations }: OwnSchema, { migrations: names }: Released) {
    const folder = join(directory, schema);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    // A folder by its place, or two files of one name would be one.
    const folders = migrations.map((from, place) => {
      const to = join(folder, String(place));
      mkdirSync(to);
      cpSync(fileURLToPath(from), to, {
        recursive: true,
        filter: (path) => !path.endsWith(".sql") || names.some((name) => path.endsWith(`/${name}`)),
      });
      return pathToFileURL(to);
    });
    await admitRole(owner, schema);
    await owner`select set_config('search_path', ${`${schema},public`}, false)`;
    await migrate({ sql: owner, schema, folders });
    return folders;
  }

  async function findings(own: OwnSchema, released: Released, change: () => Promise<void>) {
    const role = roleOf(own.schema);
    await asReleased(own, released);
    const before = await limitsOf(owner, own.schema, role);
    await change();
    const after = await limitsOf(owner, own.schema, role);
    return [
      ...(await refusedStatements(owner, { schema: own.schema, role }, released.statements)),
      ...tightened(before, after),
    ];
  }

  describe.each(ownSchemas)("$schema", (own) => {
    const released = readReleased(own.schema);
    if (!released) return it.skip("was in no release", () => {});

    it("still has every migration that was released", async () => {
      expect(await migrationNames(own)).toEqual(expect.arrayContaining(released.migrations));
    });

    it("runs every statement, and no rule is tighter than it knew", async () => {
      const found = await findings(own, released, () =>
        migrate({ sql: owner, schema: own.schema, folders: own.migrations }),
      );
      const open = found.filter(
        (finding) => !agreed.some((one) => one.schema === own.schema && one.finding.test(finding)),
      );
      expect(open).toEqual([]);
      const stale = agreed.filter(
        (one) => one.schema === own.schema && !found.some((finding) => one.finding.test(finding)),
      );
      expect(stale).toEqual([]);
      expect(released.statements.length).toBeGreaterThan(10);
    });
  });

  /** Each by itself on a schema of its own, so that one can't hide behind another. */
  describe("fails for a migration that", () => {
    const session = ownSchemas.find(({ schema }) => schema === "session");
    const released = readReleased("session");
    async function foundFor(sql: string): Promise<readonly string[]> {
      if (!session || !released) throw new Error("session has been released");
      const schema = `test_${randomBytes(6).toString("hex")}`;
      const folder = join(directory, "bad");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "9999_change.sql"), sql);
      const own = { ...session, schema };
      const folders = [...session.migrations, pathToFileURL(folder)];
      try {
        return await findings(own, released, () => migrate({ sql: owner, schema, folders }));
      } finally {
        await owner`drop schema ${owner(schema)} cascade`;
        await owner`drop role ${owner(roleOf(schema))}`;
      }
    }

    it.each([
      [
        "drops a column",
        "alter table sessions drop column metadata",
        /"metadata" .*does not exist/,
      ],
      [
        "renames a column",
        "alter table turns rename column number to place",
        /"?number"? does not/,
      ],
      ["drops a table", "drop table turn_keys", /"turn_keys" does not exist/],
      ["renames a table", "alter table turn_keys rename to keys", /"turn_keys" does not exist/],
      [
        "changes a type",
        "alter table turn_keys alter column key type bytea using convert_to(key, 'UTF8')",
        /turn_keys.key was text and is bytea/,
      ],
      [
        "adds what must be given",
        "alter table turns add column cost bigint; update turns set cost = 0; alter table turns alter column cost set not null",
        /^turns.cost must be given$/,
      ],
      [
        "demands what might be left out",
        "alter table tool_calls alter column reason set not null",
        /^tool_calls.reason must be given$/,
      ],
      [
        "takes a default away",
        "alter table sessions alter column lease_texts drop default",
        /^sessions.lease_texts must be given$/,
      ],
      [
        "tightens a check",
        "alter table turns add check (number < 1000)",
        /^turns: CHECK \(\(number < 1000\)\)$/,
      ],
      [
        "makes something unique",
        "create unique index on turn_keys (tenant_id, turn_id)",
        /^turn_keys: unique btree \(tenant_id, turn_id\)$/,
      ],
      [
        "tightens a policy",
        "create policy own on turns as restrictive using (current_setting('soldier.subject') <> '')",
        /^turns: restricted for ALL to/,
      ],
      [
        "replaces a policy",
        "drop policy tenant on turns; create policy tenant on turns using (tenant_id = current_setting('soldier.owner', true))",
        /^turns: shown for ALL: .*: no longer$/,
      ],
      [
        "takes a right away",
        "do $$ begin execute format('revoke insert on turns from %I', 'soldier_' || current_schema()); end $$",
        /^permission denied for table turns: .*insert into turns/,
      ],
      [
        "lets a trigger refuse",
        "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$; create trigger no before insert on turns for each row execute function no()",
        /^turns: trigger BEFORE INSERT/,
      ],
    ])("%s", async (_what, sql, finding) => {
      expect(await foundFor(sql)).toContainEqual(expect.stringMatching(finding));
    });

    it("and for none that only adds", async () => {
      const sql = `
        alter table turns add column cost bigint;
        alter table turns add column kind text not null default 'plain';
        alter table sessions drop constraint sessions_opening_turn;
        create table notes (tenant_id text not null, note text not null check (note <> ''));
        create index on turns (tenant_id, cost)`;
      const without = await foundFor("select 1");
      expect(await foundFor(sql)).toEqual(without);
    });
  });
});
