import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openPostgres } from "./postgres.ts";
import { roleOf } from "./role.ts";
import { describeOn, testPostgres, type TestPostgres } from "./testing.ts";

describeOn("a service's role", testPostgres(), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  let opened: AsyncDisposableStack;
  let schema: string;
  let role: string;
  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    place = opened.use(await backend.open());
    schema = `test_${randomBytes(6).toString("hex")}`;
    role = roleOf(schema);
  });
  afterEach(() => opened.disposeAsync());

  /** The settings with a login of its own, which may make schemas but no roles. */
  async function plainLogin() {
    const { owner, settings } = place;
    const login = `login_${schema}`;
    await owner.unsafe(`create role ${login} login password 'plain'`);
    const [{ name } = { name: "" }] = await owner<{ name: string }[]>`
      select current_database() as name`;
    await owner`grant create on database ${owner(name)} to ${owner(login)}`;
    await owner`grant ${owner(login)} to current_user`;
    opened.defer(async () => {
      await owner`drop owned by ${owner(login)} cascade`;
      await owner`drop role ${owner(login)}`;
      await owner`drop role if exists ${owner(role)}`;
    });
    const url = Object.assign(new URL(settings.url), { username: login, password: "plain" }).href;
    return { login, settings: { ...settings, url } };
  }
  const open = (settings: TestPostgres["settings"], stack: AsyncDisposableStack) =>
    openPostgres({ settings, schema, migrations: [], opened: stack });

  it("is asked of an administrator, in SQL, when the login may make none", async () => {
    const { owner } = place;
    const { login, settings } = await plainLogin();
    const statements = `create role ${role} nologin; grant ${role} to ${login}`;
    await using stack = new AsyncDisposableStack();
    await expect(open(settings, stack)).rejects.toMatchObject({
      kind: "precondition",
      reason: "ROLE_MISSING",
      message: expect.stringContaining(statements),
    });
    for (const statement of statements.split("; ")) await owner.unsafe(statement);
    const sql = await open(settings, stack);
    expect(await sql`select current_user as name, session_user as login`).toEqual([
      { name: role, login },
    ]);
  });

  it("is refused when security would not bind it", async () => {
    const { owner, settings } = place;
    const [{ super: may } = { super: false }] = await owner<{ super: boolean }[]>`
      select rolsuper as super from pg_roles where rolname = current_user`;
    await owner`create role ${owner(role)} nologin`;
    opened.defer(() => owner`drop role ${owner(role)}`.then(() => {}));
    // Only a superuser can make such a role; elsewhere there is none to refuse.
    if (may) await owner`alter role ${owner(role)} bypassrls`;
    await using stack = new AsyncDisposableStack();
    const outcome = await open(settings, stack).then(
      () => "opened",
      (error: { reason?: string }) => error.reason,
    );
    await owner`drop schema if exists ${owner(schema)} cascade`;
    expect(outcome).toBe(may ? "ROLE_UNSAFE" : "opened");
  });
});
